package natsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams of call events: those that came, and those that could not be
// applied.
const (
	IngestStreamName = "DIBS_INGEST"
	IngestStarted    = ingestPrefix + "call.started"
	IngestEnded      = ingestPrefix + "call.ended"
	ingestPrefix     = "dibs.ingest."
	ingestSubject    = ingestPrefix + ">"
	// ingestConsumer is the one consumer of the ingest stream, which all nodes
	// share.
	ingestConsumer = "dibs"

	DeadStreamName = "DIBS_DEAD"
	deadPrefix     = "dibs.dead."
	deadSubject    = deadPrefix + ">"
)

// Defaults of [IngestConfig].
const (
	DefaultIngestBytes = 2 << 30
	DefaultDeadBytes   = 1 << 30
)

// IngestConfig is how call events of other services are taken. Limits are those
// of streams that dibs makes; what an operator changed in one stays.
type IngestConfig struct {
	// MaxBytes is how much may wait in the ingest stream. When it is full,
	// publishers are refused; nothing that was accepted is dropped.
	MaxBytes int64 // zero: [DefaultIngestBytes]
	// DeadBytes is the same for the stream of dead letters. When it is full,
	// what cannot be applied stays in the ingest stream.
	DeadBytes int64 // zero: [DefaultDeadBytes]
	// Remember is how long the store knows what became of a reported call
	// (messages.Write.Report). The start of one that began earlier becomes a dead
	// letter. Zero: of any age, as if nothing were ever forgotten.
	Remember time.Duration
	// Region is whose a phone number without a country is.
	Region string
}

func (c *IngestConfig) setDefaults() {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultIngestBytes
	}
	if c.DeadBytes == 0 {
		c.DeadBytes = DefaultDeadBytes
	}
}

func (c IngestConfig) check() error {
	for what, n := range map[string]int64{"the ingest stream": c.MaxBytes, "the stream of dead letters": c.DeadBytes} {
		if n < 1<<20 {
			return fmt.Errorf("%s cannot do with %d bytes: give at least 1 MiB", what, n)
		}
	}
	return nil
}

const (
	// ackWait is how long an event stays with a node that has fallen silent.
	ackWait = 10 * time.Second
	// maxUnacked is how many events may be with nodes or wait for another try:
	// for somebody who is not there, behind others of their user, or for room
	// among the dead letters. Past it nothing is delivered, so it is far beyond
	// what such events come to; each costs the server some hundred bytes.
	maxUnacked = 500_000

	// ingestWindow is how long the server takes two events with one Nats-Msg-Id for
	// the same: the least that it allows. An event is known by its source and its id,
	// in the store; by that header, those of two services that count alike would be
	// the same, and one of them lost.
	ingestWindow = 100 * time.Millisecond
	// deadWindow is how long a letter is recognised that is written again because
	// its event came again: after [ackWait], or when a killed node is back. A letter
	// that is there twice does no harm, and ids take memory for as long as the window.
	deadWindow = time.Minute

	// What dibs set before, and for the first what a server sets by itself.
	formerIngestWindow, formerDeadWindow = 2 * time.Minute, time.Hour
)

// ingestStreams makes the two streams and the consumer where they are missing.
func ingestStreams(ctx context.Context, js jetstream.JetStream, cfg IngestConfig, replicas int, log *slog.Logger) (jetstream.Consumer, error) {
	ingest := jetstream.StreamConfig{
		Name: IngestStreamName, Subjects: []string{ingestSubject},
		Description: "Call events of other services, until dibs has taken them.",
		Storage:     jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		MaxBytes: cfg.MaxBytes, MaxMsgSize: maxReport, Duplicates: ingestWindow, Replicas: replicas,
	}
	dead := jetstream.StreamConfig{
		Name: DeadStreamName, Subjects: []string{deadSubject},
		Description: "Call events that could not be applied ('dibs dead list').",
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxBytes: cfg.DeadBytes, Duplicates: deadWindow, Replicas: replicas, AllowDirect: true,
	}
	if _, err := oneStream(ctx, js, dead, formerDeadWindow, log); err != nil {
		return nil, err
	}
	stream, err := oneStream(ctx, js, ingest, formerIngestWindow, log)
	if err != nil {
		return nil, err
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: ingestConsumer, Description: "all nodes of dibs",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: maxUnacked,
	})
	if err != nil {
		return nil, fmt.Errorf("the consumer of the stream %s: %w", IngestStreamName, err)
	}
	return consumer, nil
}

// oneStream makes a stream, or takes one that is there if it can serve. A duplicate
// window that nobody chose is the former one.
func oneStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, former time.Duration, log *slog.Logger) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another node was faster, with other limits
			stream, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the stream %s: %w", want.Name, err)
	}
	is := stream.CachedInfo().Config
	switch {
	case !slices.Equal(is.Subjects, want.Subjects):
		return nil, fmt.Errorf("the stream %s holds the subjects %q, not %q alone: change or rename it", want.Name, is.Subjects, want.Subjects)
	case is.NoAck, is.Sealed, is.Mirror != nil:
		return nil, fmt.Errorf("the stream %s does not acknowledge what is published: it is sealed, a mirror, or says so", want.Name)
	}
	if is.Duplicates == former {
		is.Duplicates = want.Duplicates
		if _, err := js.UpdateStream(ctx, is); err != nil {
			is.Duplicates = former
			log.Warn("the duplicate window of a stream of call events could not be shortened", "stream", want.Name, "error", err)
		}
	}
	warnOfLoss(is, want, log)
	return stream, nil
}

// warnOfLoss says what makes a stream lose events.
func warnOfLoss(is, want jetstream.StreamConfig, log *slog.Logger) {
	alike := is.Name == IngestStreamName && is.Duplicates > want.Duplicates
	for why, so := range map[string]bool{
		"it is kept in memory: a restart of NATS loses it":                         is.Storage != jetstream.FileStorage,
		"when it is full it drops the oldest instead of refusing the newest":       is.Discard != jetstream.DiscardNew,
		"it drops events by age, taken or not":                                     is.MaxAge > 0,
		"it keeps events that were taken, or drops some that were not (retention)": is.Retention != want.Retention,
		"its duplicate window drops those of two services with one Nats-Msg-Id":    alike,
	} {
		if so {
			log.Warn("a stream of call events may lose some", "stream", want.Name, "because", why)
		}
	}
}
