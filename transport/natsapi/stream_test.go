package natsapi

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// config returns how the stream is set up.
func config(t *testing.T, bus *Bus) jetstream.StreamConfig {
	t.Helper()
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config
}

func ensure(t *testing.T, bus *Bus, want StreamConfig) error {
	t.Helper()
	want.setDefaults()
	return ensureStream(t.Context(), bus.js, want, logger(t))
}

func TestNewStream(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	got := config(t, bus)
	if got.MaxAge != 24*time.Hour || got.MaxBytes != 1<<30 || got.Duplicates != 20*time.Second ||
		got.Discard != jetstream.DiscardOld || got.Storage != jetstream.FileStorage || got.Replicas != 1 {
		t.Errorf("%+v", got)
	}
}

// Limits are widened, never narrowed, but for the duplicate window, which keeps
// nothing; what an operator set is theirs.
func TestLimitsOfAnExistingStream(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	if err := ensure(t, bus, StreamConfig{MaxAge: 48 * time.Hour, MaxBytes: 2 << 30, Duplicates: 5 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	got := config(t, bus)
	if got.MaxAge != 48*time.Hour || got.MaxBytes != 2<<30 || got.Duplicates != 5*time.Minute {
		t.Fatalf("not widened: %+v", got)
	}
	if err := ensure(t, bus, StreamConfig{}); err != nil {
		t.Fatal(err)
	}
	now := config(t, bus)
	if now.MaxAge != got.MaxAge || now.MaxBytes != got.MaxBytes {
		t.Fatalf("narrowed: %+v", now)
	}
	if now.Duplicates != DefaultDuplicates {
		t.Fatalf("duplicates are known for %s, want %s", now.Duplicates, DefaultDuplicates)
	}

	now.MaxBytes, now.Duplicates = 1<<20, time.Hour // by an operator
	if _, err := bus.js.UpdateStream(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if err := ensure(t, bus, StreamConfig{MaxAge: 72 * time.Hour, MaxBytes: 4 << 30}); err != nil {
		t.Fatal(err)
	}
	if now := config(t, bus); now.MaxBytes != 1<<20 || now.Duplicates != time.Hour || now.MaxAge != 72*time.Hour {
		t.Errorf("%d bytes, duplicates for %s, %s; want what the operator set, and the wider age", now.MaxBytes, now.Duplicates, now.MaxAge)
	}
}

func TestStreamThatCannotServe(t *testing.T) {
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"'dibs.events.>' alone": func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "other.>") },
		"by limits":             func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"does not acknowledge":  func(c *jetstream.StreamConfig) { c.NoAck = true },
		"duplicate window":      func(c *jetstream.StreamConfig) { c.Duplicates = time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			bus := open(t, inProcess(t, t.TempDir()))
			if err := bus.js.DeleteStream(t.Context(), StreamName); err != nil {
				t.Fatal(err)
			}
			cfg := newStream(bus.cfg.Stream)
			change(&cfg)
			waitFor(t, 10*time.Second, "the server has removed the old one's files", func() bool {
				_, err := bus.js.CreateStream(t.Context(), cfg)
				return err == nil
			})
			err := ensure(t, bus, StreamConfig{})
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, "'"), name) {
				t.Errorf("got %v, want something about %s", err, name)
			}
			outbox := &natstest.Outbox{}
			outbox.Add(natstest.Started(1, 0))
			p := publishing(t, bus, outbox)
			waitFor(t, 10*time.Second, "publishing fails", failing(p))
			if outbox.Len() != 1 {
				t.Error("the row is gone")
			}
		})
	}
}

func TestCheckOfTheConfiguration(t *testing.T) {
	file := t.TempDir() + "/file"
	for want, cfg := range map[string]Config{
		"neither the address":   {},
		"cannot listen":         {URL: "nats://x", Embedded: EmbeddedConfig{Listen: "127.0.0.1:4222"}},
		"only 1s":               {URL: "nats://x", Stream: StreamConfig{MaxAge: time.Second}},
		"1 MiB":                 {URL: "nats://x", Stream: StreamConfig{MaxBytes: 5}},
		"know duplicates for":   {URL: "nats://x", Stream: StreamConfig{MaxAge: time.Hour, Duplicates: 2 * time.Hour}},
		"duplicate window":      {URL: "nats://x", Stream: StreamConfig{Duplicates: time.Second}},
		"9 replicas":            {URL: "nats://x", Stream: StreamConfig{Replicas: 9}},
		"is alone":              {Embedded: EmbeddedConfig{Dir: "x"}, Stream: StreamConfig{Replicas: 3}},
		"exclude each other":    {URL: "nats://x", Auth: Auth{Token: "t", User: "u"}},
		"credentials file":      {URL: "nats://x", Auth: Auth{Creds: file}},
		"nkey file":             {URL: "nats://x", Auth: Auth{NKey: file}},
		"belong together":       {URL: "nats://x", TLS: TLS{Cert: file}},
		"certificate authority": {URL: "nats://x", TLS: TLS{CA: file}},
		"give host:port":        {Embedded: EmbeddedConfig{Dir: "x", Listen: "4222"}},
		"from other machines":   {Embedded: EmbeddedConfig{Dir: "x", Listen: "0.0.0.0:4222", Token: "t"}},
	} {
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something about %q", err, want)
		}
	}
	if err := (Config{URL: "nats://x"}).Check(); err != nil {
		t.Error(err)
	}
}

func TestMetricsThatAreTakenAlready(t *testing.T) {
	cfg := inProcess(t, t.TempDir())
	cfg.Metrics.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "dibs_nats_connection_losses_total", Help: "other"}))
	if bus, err := Open(t.Context(), cfg); err == nil {
		closeBus(t, bus)
		t.Error("opened")
	}
}
