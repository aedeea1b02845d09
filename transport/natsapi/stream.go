package natsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// The stream of status events.
const (
	StreamName    = "DIBS_EVENTS"
	SubjectPrefix = "dibs.events."
	streamSubject = SubjectPrefix + ">"
)

// What dibs last set is written beside the stream, so that what an operator has
// changed since can be told from it and is left alone.
const (
	metaMaxAge   = "dibs_max_age"
	metaMaxBytes = "dibs_max_bytes"
	metaWindow   = "dibs_duplicate_window"
	metaReplicas = "dibs_replicas"
)

// ensureStream makes the stream, or sets the limits of one that dibs made. A
// stream that an operator made or changed stays as it is, if it can serve.
func ensureStream(ctx context.Context, js jetstream.JetStream, want StreamConfig, log *slog.Logger) error {
	stream, err := js.Stream(ctx, StreamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, newStream(want))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another node was faster, with other limits
			stream, err = js.Stream(ctx, StreamName)
		}
	}
	if err != nil {
		return fmt.Errorf("the event stream %s: %w", StreamName, err)
	}
	cfg := stream.CachedInfo().Config
	if err := serves(cfg); err != nil {
		return err
	}
	if cfg.Storage != jetstream.FileStorage {
		log.Warn("the event stream is kept in memory: a restart of NATS loses it", "stream", StreamName)
	}
	adapted, changed := adapt(cfg, want)
	if !changed {
		return nil
	}
	if _, err := js.UpdateStream(ctx, adapted); err != nil {
		log.Warn("the limits of the event stream could not be changed; it goes on with those that it has", "stream", StreamName, "error", err)
	}
	return nil
}

func newStream(want StreamConfig) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name: StreamName, Subjects: []string{streamSubject},
		Description: "Calls started and ended, published by dibs as CloudEvents.",
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: want.MaxAge, MaxBytes: want.MaxBytes, Duplicates: want.Duplicates, Replicas: want.Replicas,
		AllowDirect: true,
	}
	cfg.Metadata = limits(cfg)
	return cfg
}

func limits(cfg jetstream.StreamConfig) map[string]string {
	return map[string]string{
		metaMaxAge: cfg.MaxAge.String(), metaMaxBytes: strconv.FormatInt(cfg.MaxBytes, 10),
		metaWindow: cfg.Duplicates.String(), metaReplicas: strconv.Itoa(cfg.Replicas),
	}
}

// serves reports what makes a stream unusable for status events.
func serves(cfg jetstream.StreamConfig) error {
	switch {
	case !slices.Equal(cfg.Subjects, []string{streamSubject}):
		return fmt.Errorf("the stream %s holds the subjects %q, not %q alone: change or rename it", StreamName, cfg.Subjects, streamSubject)
	case cfg.Retention != jetstream.LimitsPolicy:
		return fmt.Errorf("the stream %s does not keep events by limits: its readers would take them from each other", StreamName)
	case cfg.NoAck, cfg.Sealed, cfg.Mirror != nil:
		return fmt.Errorf("the stream %s does not acknowledge what is published: it is sealed, a mirror, or says so", StreamName)
	case cfg.Duplicates < DefaultDuplicates:
		return fmt.Errorf("the duplicate window of the stream %s is %s: give it at least %s", StreamName, cfg.Duplicates, DefaultDuplicates)
	}
	return nil
}

// adapt returns the stream with the limits that dibs set raised to want, and its
// duplicate window as wanted: one that is longer than need be costs memory alone.
// Limits that differ from what dibs wrote beside them were set by an operator.
func adapt(cfg jetstream.StreamConfig, want StreamConfig) (jetstream.StreamConfig, bool) {
	now, adapted := limits(cfg), cfg
	ours := func(key string) bool { return cfg.Metadata[key] == now[key] }
	if ours(metaMaxAge) {
		adapted.MaxAge = max(cfg.MaxAge, want.MaxAge)
	}
	if ours(metaMaxBytes) {
		adapted.MaxBytes = max(cfg.MaxBytes, want.MaxBytes)
	}
	if ours(metaWindow) {
		adapted.Duplicates = want.Duplicates
	}
	if ours(metaReplicas) {
		adapted.Replicas = max(cfg.Replicas, want.Replicas)
	}
	after := limits(adapted)
	if maps.Equal(now, after) {
		return cfg, false
	}
	adapted.Metadata = maps.Clone(cfg.Metadata)
	for key, value := range after {
		if value != now[key] {
			adapted.Metadata[key] = value
		}
	}
	return adapted, true
}

// epochOf names the incarnation of a stream.
func epochOf(info *jetstream.StreamInfo) string {
	return strconv.FormatInt(info.Created.UnixNano(), 36)
}
