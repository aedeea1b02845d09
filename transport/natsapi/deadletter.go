package natsapi

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Reason says why an event of another service is a dead letter. The set is
// closed.
type Reason string

const (
	// ReasonMalformed: it is no CloudEvent, or does not say what it must.
	ReasonMalformed Reason = "malformed"
	// ReasonUserNotFound: there is no (active) user of this id or address.
	ReasonUserNotFound Reason = "user_not_found"
	// ReasonClientNotFound: there is no client of this id or number.
	ReasonClientNotFound Reason = "client_not_found"
	// ReasonClientAmbiguous: several clients have the number.
	ReasonClientAmbiguous Reason = "client_ambiguous"
	// ReasonInternal: a defect of dibs.
	ReasonInternal Reason = "internal"
)

// Headers of a dead letter. Its body is the event as it came.
const (
	headerReason     = "Dibs-Reason"
	headerError      = "Dibs-Error"      // the sentence for a person
	headerSubject    = "Dibs-Subject"    // where the event was published
	headerReceived   = "Dibs-Received"   // when the ingest stream got it
	headerDeliveries = "Dibs-Deliveries" // how often it was tried
)

// deadLetter makes the letter of an event that cannot be applied.
func deadLetter(msg jetstream.Msg, meta *jetstream.MsgMetadata, why *rejection) *nats.Msg {
	letter := nats.NewMsg(deadPrefix + msg.Subject())
	for name, values := range msg.Headers() {
		if !reservedHeader(name) {
			letter.Header[name] = values
		}
	}
	letter.Header.Set(headerReason, string(why.reason))
	letter.Header.Set(headerError, oneLine(why.sentence))
	letter.Header.Set(headerSubject, msg.Subject())
	letter.Header.Set(headerReceived, meta.Timestamp.UTC().Format(time.RFC3339Nano))
	letter.Header.Set(headerDeliveries, strconv.FormatUint(meta.NumDelivered, 10))
	// A stream made anew counts from one again, hence the time.
	letter.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%d-%d", meta.Sequence.Stream, meta.Timestamp.UnixNano()))
	letter.Header.Set(jetstream.ExpectedStreamHeader, DeadStreamName)
	letter.Data = msg.Data()
	return letter
}

// reservedHeader reports whether a header means something to NATS or to us, and
// so must not be carried on as others wrote it.
func reservedHeader(name string) bool {
	name = textproto.CanonicalMIMEHeaderKey(name)
	return strings.HasPrefix(name, "Nats-") || strings.HasPrefix(name, "Dibs-")
}

func oneLine(s string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(s) }

// DeadLetter is an event that could not be applied.
type DeadLetter struct {
	Seq        uint64    `json:"seq"` // names the letter
	At         time.Time `json:"at"`  // when it was given up
	Received   time.Time `json:"received"`
	Subject    string    `json:"subject"`
	Reason     Reason    `json:"reason"`
	Error      string    `json:"error"`
	Deliveries int       `json:"deliveries"`
	// Event is the body as it came; it may be anything.
	Event []byte `json:"-"`

	header nats.Header
}

// DeadLetters works off what could not be applied. It is safe for concurrent use.
type DeadLetters struct {
	js    jetstream.JetStream
	close func()
}

// ErrNoDeadLetter says that there is no letter of this number (any more).
var ErrNoDeadLetter = errors.New("there is no such dead letter")

// Close lets go of the connection.
func (d *DeadLetters) Close() { d.close() }

// stream returns the stream of dead letters; nil while nothing was ever given up
// because no server has run yet.
func (d *DeadLetters) stream(ctx context.Context) (jetstream.Stream, error) {
	stream, err := d.js.Stream(ctx, DeadStreamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the stream of dead letters %s: %w", DeadStreamName, err)
	}
	return stream, nil
}

// Each calls f for the letters, oldest first, until f returns false or they end.
// It returns how many there are in all.
func (d *DeadLetters) Each(ctx context.Context, f func(DeadLetter) (more bool, err error)) (total int, err error) {
	stream, err := d.stream(ctx)
	if err != nil || stream == nil {
		return 0, err
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return 0, nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return 0, fmt.Errorf("reading the dead letters: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return 0, fmt.Errorf("reading the dead letters: %w", err)
	}
	defer messages.Stop()
	for seq := uint64(0); seq < state.LastSeq; {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return 0, fmt.Errorf("reading the dead letters: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return 0, fmt.Errorf("reading the dead letters: %w", err)
		}
		seq = meta.Sequence.Stream
		if more, err := f(letterOf(seq, meta.Timestamp, msg.Headers(), msg.Data())); err != nil || !more {
			return int(state.Msgs), err
		}
		if meta.NumPending == 0 {
			break // the last ones were removed meanwhile
		}
	}
	return int(state.Msgs), nil
}

func letterOf(seq uint64, at time.Time, header nats.Header, body []byte) DeadLetter {
	l := DeadLetter{
		Seq: seq, At: at.UTC(), Subject: header.Get(headerSubject), Reason: Reason(header.Get(headerReason)),
		Error: header.Get(headerError), Event: body, header: header,
	}
	l.Received, _ = time.Parse(time.RFC3339Nano, header.Get(headerReceived)) // zero: somebody else wrote the letter
	l.Deliveries, _ = strconv.Atoi(header.Get(headerDeliveries))
	return l
}

// Get returns a letter.
func (d *DeadLetters) Get(ctx context.Context, seq uint64) (DeadLetter, error) {
	stream, err := d.stream(ctx)
	if err != nil {
		return DeadLetter{}, err
	}
	if stream == nil {
		return DeadLetter{}, ErrNoDeadLetter
	}
	msg, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, ErrNoDeadLetter
	}
	if err != nil {
		return DeadLetter{}, fmt.Errorf("reading dead letter %d: %w", seq, err)
	}
	return letterOf(seq, msg.Time, msg.Header, msg.Data), nil
}

// Retry puts the event back into the ingest stream, as it came, and removes the
// letter. If it is broken off in between, the event is in both places, and still
// takes effect once.
func (d *DeadLetters) Retry(ctx context.Context, l DeadLetter) error {
	if !strings.HasPrefix(l.Subject, ingestPrefix) {
		return fmt.Errorf("dead letter %d does not say where it was published: it can only be dropped", l.Seq)
	}
	msg := nats.NewMsg(l.Subject)
	for name, values := range l.header {
		if !reservedHeader(name) {
			msg.Header[name] = values
		}
	}
	msg.Data = l.Event
	if _, err := d.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(IngestStreamName)); err != nil {
		return fmt.Errorf("publishing dead letter %d again: %w", l.Seq, err)
	}
	return d.Drop(ctx, l.Seq)
}

// Drop removes a letter for good.
func (d *DeadLetters) Drop(ctx context.Context, seq uint64) error {
	stream, err := d.stream(ctx)
	if err != nil {
		return err
	}
	if stream == nil {
		return ErrNoDeadLetter
	}
	err = stream.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, missing := stream.GetMsg(ctx, seq); errors.Is(missing, jetstream.ErrMsgNotFound) {
			return ErrNoDeadLetter
		}
	}
	if err != nil {
		return fmt.Errorf("removing dead letter %d: %w", seq, err)
	}
	return nil
}
