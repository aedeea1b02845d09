package main

import (
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/dibs-calls/dibs/transport/natsapi"
)

// natsConfig says which NATS carries the status events.
type natsConfig struct {
	URL             string // empty: the server inside the process
	Auth            natsapi.Auth
	TLS             natsapi.TLS // of URL, or of Listen
	Listen          string      // of the server inside the process; empty: no port
	ListenToken     string
	MaxAge          time.Duration
	MaxBytes        int64
	DuplicateWindow time.Duration
	Replicas        int
	RPC             bool    // answer requests over NATS
	RPCRate         float64 // of each name, a second; zero: no limit
	Ingest          ingestConfig
}

func (n *natsConfig) bind(flags *pflag.FlagSet) {
	n.bindAddress(flags)
	flags.StringVar(&n.Listen, "nats-listen", "", "let other programs reach the NATS server inside this process at host:port")
	flags.DurationVar(&n.MaxAge, "events-max-age", natsapi.DefaultMaxAge, "how long status events are kept for readers: on the stream, or where nobody can hear them in the outbox")
	flags.Int64Var(&n.MaxBytes, "events-max-bytes", natsapi.DefaultMaxBytes, "how many bytes of them, at most")
	flags.DurationVar(&n.DuplicateWindow, "events-duplicate-window", natsapi.DefaultDuplicates, "how long NATS knows an event that comes twice")
	flags.BoolVar(&n.RPC, "nats-rpc", true, "answer requests over NATS (dibs.rpc.>); whoever may send them acts for any user")
	flags.Float64Var(&n.RPCRate, "nats-rpc-rate", 0, "requests a second over NATS that each name may make, and those without a name together; 0: no limit")
	n.Ingest.bind(flags)
	flags.IntVar(&n.Replicas, "events-replicas", 1, "copies of the event stream in a NATS cluster")
}

// bindAddress binds what says where the server is, and who we are to it.
func (n *natsConfig) bindAddress(flags *pflag.FlagSet) {
	flags.StringVar(&n.URL, "nats-url", "", "NATS server for status events (nats://…, several with commas); several nodes need one in common; empty: one inside this process")
	flags.StringVar(&n.Auth.Creds, "nats-creds", "", "credentials file for --nats-url")
	flags.StringVar(&n.Auth.NKey, "nats-nkey", "", "file with the seed of an nkey for --nats-url")
	flags.StringVar(&n.TLS.CA, "nats-ca", "", "file with who signs the certificate of --nats-url (PEM)")
	flags.StringVar(&n.TLS.Cert, "nats-cert", "", "file with the TLS certificate for --nats-url, or for --nats-listen (PEM)")
	flags.StringVar(&n.TLS.Key, "nats-key", "", "file with its private key (PEM)")
	flags.StringVar(&n.ListenToken, "nats-listen-token", "", "token that programs must give at --nats-listen (better as DIBS_NATS_LISTEN_TOKEN)")
}

func (n *natsConfig) config(data string, registry prometheus.Registerer, log *slog.Logger) natsapi.Config {
	c := natsapi.Config{
		URL: n.URL, Auth: n.Auth, Metrics: registry, Log: log,
		Ingest: natsapi.IngestConfig{MaxBytes: n.Ingest.MaxBytes, DeadBytes: n.Ingest.DeadBytes, Remember: n.Ingest.Remember},
		Stream: natsapi.StreamConfig{
			MaxAge: n.MaxAge, MaxBytes: n.MaxBytes, Duplicates: n.DuplicateWindow, Replicas: n.Replicas,
		},
	}
	if n.URL != "" {
		c.TLS = n.TLS
		c.Embedded.Listen = n.Listen // refused by Check, in words
		return c
	}
	c.Embedded = natsapi.EmbeddedConfig{
		Dir: filepath.Join(data, "nats"), Listen: n.Listen, Token: n.ListenToken, Cert: n.TLS.Cert, Key: n.TLS.Key,
	}
	return c
}

// check finds what can never work.
func (n *natsConfig) check() error {
	if r := n.RPCRate; r < 0 || math.IsNaN(r) || math.IsInf(r, 0) {
		return usagef("--nats-rpc-rate %v: give a number of requests a second, or 0 for no limit", r)
	}
	return n.Ingest.check()
}
