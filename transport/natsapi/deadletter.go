package natsapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	// ReasonStale: the call began so long ago that it is not known any more
	// whether it has ended.
	ReasonStale Reason = "stale"
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
	headerCut        = "Dibs-Cut"        // what did not fit: cutHeaders, cutBody
)

const (
	cutHeaders = "headers"
	cutBody    = "body" // and the headers
)

// deadLetter makes the letter of an event that cannot be applied, of at most so
// many bytes.
func deadLetter(msg jetstream.Msg, meta *jetstream.MsgMetadata, why *rejection, most int64) *nats.Msg {
	letter := nats.NewMsg(deadSubjectOf(msg.Subject()))
	for name, values := range msg.Headers() {
		if !reservedHeader(name) {
			letter.Header[name] = values
		}
	}
	letter.Header.Set(headerReason, string(why.reason))
	letter.Header.Set(headerError, oneLine(why.sentence))
	letter.Header.Set(headerSubject, msg.Subject()[:min(len(msg.Subject()), keptSubject)])
	letter.Header.Set(headerReceived, meta.Timestamp.UTC().Format(time.RFC3339Nano))
	letter.Header.Set(headerDeliveries, strconv.FormatUint(meta.NumDelivered, 10))
	// A stream made anew counts from one again, hence the time.
	letter.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%d-%d", meta.Sequence.Stream, meta.Timestamp.UnixNano()))
	letter.Header.Set(jetstream.ExpectedStreamHeader, DeadStreamName)
	letter.Data = msg.Data()
	fit(letter, int(most))
	return letter
}

const (
	// longSubject is from when on a letter does not carry the subject of its event in
	// its own: the line of the protocol that names it, with what we put around it,
	// would be longer than the server takes (4,096 bytes, unless it is configured
	// otherwise), and it then closes the connection for good.
	longSubject = 1024
	// keptSubject is how much of a subject the letter says.
	keptSubject = 4096
)

// deadSubjectOf is where the letter of an event published on subject goes.
func deadSubjectOf(subject string) string {
	if len(subject) < longSubject {
		return deadPrefix + subject
	}
	sum := sha256.Sum256([]byte(subject))
	return deadPrefix + "long." + hex.EncodeToString(sum[:16])
}

// fit cuts a letter down to what the server takes. An event can be as large as
// that, and what we say about it comes on top.
func fit(letter *nats.Msg, most int) {
	if most <= 0 || letter.Size() <= most {
		return
	}
	letter.Header.Set(headerCut, cutHeaders)
	for name := range letter.Header {
		if !reservedHeader(name) {
			delete(letter.Header, name)
		}
	}
	if over := letter.Size() - most; over > 0 {
		letter.Header.Set(headerCut, cutBody)
		letter.Data = letter.Data[:max(0, len(letter.Data)-over)]
	}
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
	// denied ends, and says why, when the server does not permit something: it
	// does not answer such a request.
	denied context.Context
	within time.Duration // for one question to the server
}

var (
	// ErrNoDeadLetter says that there is no letter of this number (any more).
	ErrNoDeadLetter = errors.New("there is no such dead letter")
	// ErrNotPermitted says that the NATS server does not let us.
	ErrNotPermitted = errors.New("the NATS server does not permit it")
)

// Close lets go of the connection.
func (d *DeadLetters) Close() { d.close() }

// bounded is a context for one question to the server. done gives the error that
// the question ended with, in words if it was not answered.
func (d *DeadLetters) bounded(ctx context.Context) (_ context.Context, done func(error) error) {
	bound, cancel := context.WithTimeout(ctx, d.within)
	stop := context.AfterFunc(d.denied, cancel)
	return bound, func(err error) error {
		stop()
		cancel()
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case d.denied.Err() != nil:
			return context.Cause(d.denied)
		}
		return err
	}
}

// stream returns the stream of dead letters; nil while nothing was ever given up
// because no server has run yet.
func (d *DeadLetters) stream(ctx context.Context) (jetstream.Stream, error) {
	ctx, done := d.bounded(ctx)
	stream, err := d.js.Stream(ctx, DeadStreamName)
	err = done(err)
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
	asking, done := d.bounded(ctx)
	consumer, err := stream.OrderedConsumer(asking, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err = done(err); err != nil {
		return 0, fmt.Errorf("reading the dead letters: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return 0, fmt.Errorf("reading the dead letters: %w", err)
	}
	defer messages.Stop()
	for seq := uint64(0); seq < state.LastSeq; {
		msg, err := d.next(ctx, messages)
		if errors.Is(err, context.DeadlineExceeded) && d.over(ctx, consumer) {
			break // the rest was removed meanwhile
		}
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

func (d *DeadLetters) next(ctx context.Context, from jetstream.MessagesContext) (jetstream.Msg, error) {
	ctx, done := d.bounded(ctx)
	msg, err := from.Next(jetstream.NextContext(ctx))
	return msg, done(err)
}

// over reports whether there is nothing more to come.
func (d *DeadLetters) over(ctx context.Context, consumer jetstream.Consumer) bool {
	ctx, done := d.bounded(ctx)
	info, err := consumer.Info(ctx)
	return done(err) == nil && info.NumPending == 0
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
	ctx, done := d.bounded(ctx)
	msg, err := stream.GetMsg(ctx, seq)
	err = done(err)
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
	if l.header.Get(headerCut) == cutBody {
		return fmt.Errorf("of dead letter %d only the beginning was kept, because all of it was too large for NATS: it can only be dropped", l.Seq)
	}
	if len(l.Subject) >= longSubject {
		return fmt.Errorf("the subject of dead letter %d is too long (%d bytes), and nothing is known of it: it can only be dropped", l.Seq, len(l.Subject))
	}
	msg := nats.NewMsg(l.Subject)
	for name, values := range l.header {
		if !reservedHeader(name) {
			msg.Header[name] = values
		}
	}
	msg.Data = l.Event
	publishing, done := d.bounded(ctx)
	_, err := d.js.PublishMsg(publishing, msg, jetstream.WithExpectStream(IngestStreamName))
	if err = done(err); err != nil {
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
	ctx, done := d.bounded(ctx)
	err = stream.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, missing := stream.GetMsg(ctx, seq); errors.Is(missing, jetstream.ErrMsgNotFound) {
			err = ErrNoDeadLetter
		}
	}
	if err = done(err); err != nil && !errors.Is(err, ErrNoDeadLetter) {
		return fmt.Errorf("removing dead letter %d: %w", seq, err)
	}
	return err
}
