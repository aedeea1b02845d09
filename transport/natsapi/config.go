package natsapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of [StreamConfig].
const (
	DefaultMaxAge   = 24 * time.Hour
	DefaultMaxBytes = 1 << 30
	// DefaultDuplicates is longer than two publishers may be apart with the same
	// row, as long as both get on: five seconds to read it and [sendWithin] to send
	// it, for the later one; [sendWithin], [ackWithin], [settleEvery] and five seconds to
	// clear it, for the earlier. Longer still would only help after outages, and NATS keeps
	// every id that long in memory, at 250 bytes.
	DefaultDuplicates = 20 * time.Second
)

// leastMaxAge lets a reader come back that was cut off for a moment.
const leastMaxAge = 2 * time.Minute

// Config says which NATS carries the events. With neither URL nor Embedded.Dir
// it is refused.
type Config struct {
	// URL of a server, or several with commas in between. Empty: Embedded.
	URL string
	// Auth and TLS are for URL.
	Auth Auth
	TLS  TLS

	// Embedded is the server inside the process, used if URL is empty.
	Embedded EmbeddedConfig

	Stream StreamConfig
	Ingest IngestConfig

	Metrics prometheus.Registerer
	Log     *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Auth is how to prove to a server who we are. At most one kind may be set;
// with none, what the URL says counts.
type Auth struct {
	Creds string // file with a JWT and its seed, as `nsc` writes it
	NKey  string // file with the seed of a user nkey

	User, Password string
	Token          string
}

// TLS is how to know a server, and how it can know us. All are PEM files; all
// may be empty. It is used whenever the server asks for it, and demanded when
// one of them is set.
type TLS struct {
	CA        string // who signs the server's certificate; empty: the system's
	Cert, Key string // our own
}

// StreamConfig is how much DIBS_EVENTS keeps. Limits of an existing stream are
// only ever widened, so that no start of a node throws events away; its duplicate
// window, which keeps no events, becomes what is wanted. What an operator changed in
// the stream is left as it is.
//
// A server keeps an index of subjects and message ids in memory: about 0.5 KiB
// for each event of a client and a user who have no other on the stream. With
// MaxBytes full of such events (a million clients called once) that is some
// 400 MiB a GiB.
type StreamConfig struct {
	MaxAge     time.Duration // zero: [DefaultMaxAge]
	MaxBytes   int64         // zero: [DefaultMaxBytes]
	Duplicates time.Duration // zero: [DefaultDuplicates], which is also the least
	Replicas   int           // zero: 1
}

func (c *StreamConfig) setDefaults() {
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Duplicates == 0 {
		c.Duplicates = DefaultDuplicates
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
}

func (c StreamConfig) check() error {
	switch {
	case c.MaxAge < leastMaxAge:
		return fmt.Errorf("the event stream cannot keep events for only %s: give at least two minutes", c.MaxAge)
	case c.MaxBytes < 1<<20:
		return fmt.Errorf("the event stream cannot do with %d bytes: give at least 1 MiB", c.MaxBytes)
	case c.Duplicates < DefaultDuplicates:
		return fmt.Errorf("the duplicate window of the event stream must be at least %s: %s is not", DefaultDuplicates, c.Duplicates)
	case c.Duplicates > c.MaxAge:
		return fmt.Errorf("the event stream cannot know duplicates for %s and keep events for only %s", c.Duplicates, c.MaxAge)
	case c.Replicas < 1 || c.Replicas > 5:
		return fmt.Errorf("the event stream cannot have %d replicas: give 1 to 5", c.Replicas)
	}
	return nil
}

// Check finds what can never work, in words for the person who set it. It looks
// at files but connects to nothing.
func (c Config) Check() error {
	c.Stream.setDefaults()
	if err := c.Stream.check(); err != nil {
		return err
	}
	c.Ingest.setDefaults()
	if err := c.Ingest.check(); err != nil {
		return err
	}
	switch {
	case c.URL == "" && c.Embedded.Dir == "":
		return errors.New("neither the address of a NATS server nor a folder for an embedded one is given")
	case c.URL != "" && c.Embedded.Listen != "":
		return fmt.Errorf("the embedded NATS server cannot listen on %s because the one at a URL is used: give one of the two", c.Embedded.Listen)
	case c.URL == "" && c.Stream.Replicas > 1 && c.Embedded.Routes.Listen == "":
		return fmt.Errorf("the embedded NATS server is alone and cannot keep %d replicas", c.Stream.Replicas)
	}
	if c.URL == "" {
		return c.Embedded.check()
	}
	if err := c.Auth.check(); err != nil {
		return err
	}
	return c.TLS.check()
}

func (a Auth) check() error {
	kinds := 0
	for _, set := range []bool{a.Creds != "", a.NKey != "", a.User != "" || a.Password != "", a.Token != ""} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return errors.New("several kinds of NATS credentials are given: a credentials file, an nkey, a user with password and a token exclude each other")
	}
	if err := readable("the NATS credentials file", a.Creds); err != nil {
		return err
	}
	return readable("the NATS nkey file", a.NKey)
}

func (t TLS) check() error {
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("the NATS certificate and its key belong together: give both or neither")
	}
	for what, file := range map[string]string{
		"the NATS certificate authority": t.CA, "the NATS certificate": t.Cert, "the NATS certificate's key": t.Key,
	} {
		if err := readable(what, file); err != nil {
			return err
		}
	}
	return nil
}

func readable(what, file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", what, err)
	}
	return f.Close()
}

// loopback reports whether a host:port can be reached from this machine alone.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
