package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is the way from one node to one of the servers that it needs, through a
// proxy that can cut or slow it. It is used by one goroutine.
type link struct {
	proxy   *toxiproxy.Proxy
	stopped bool
}

// Directions of a link, as toxiproxy names them.
const (
	requests = "upstream"   // what the node sends
	answers  = "downstream" // what it is sent
)

// newLink makes a link to upstream (host:port) that listens on an address of its own. It
// must be one that nobody gets by chance while the link is refused.
func newLink(t testing.TB, name, listen, upstream string) *link {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &link{proxy: toxiproxy.NewProxy(server, name, listen, upstream)}
	must(t, l.proxy.Start())
	t.Cleanup(func() {
		if !l.stopped {
			l.proxy.Stop()
		}
	})
	return l
}

// addr is where the node connects.
func (l *link) addr() string { return l.proxy.Listen }

// swallow lets connections stand and loses what is sent in these directions:
// the link is cut, and nobody is told.
func (l *link) swallow(directions ...string) error {
	for _, d := range directions {
		if err := l.toxic("timeout", d, `{"timeout": 0}`); err != nil {
			return err
		}
	}
	return nil
}

// delay makes everything late, each direction by itself.
func (l *link) delay(by, jitter time.Duration) error {
	attributes := fmt.Sprintf(`{"latency": %d, "jitter": %d}`, by.Milliseconds(), jitter.Milliseconds())
	for _, d := range []string{requests, answers} {
		if err := l.toxic("latency", d, attributes); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) toxic(kind, stream, attributes string) error {
	_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": %s}`, kind, stream, attributes)))
	return err
}

// refuse breaks all connections and takes no new ones.
func (l *link) refuse() error {
	l.proxy.Stop()
	l.stopped = true
	return nil
}

// heal ends whatever was done to the link. Connections that lost something are
// closed, so that nothing is ever missing in the middle of a stream.
func (l *link) heal() error {
	if l.stopped {
		l.stopped = false
		return l.proxy.Start()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	l.proxy.Toxics.ResetToxics(ctx)
	return nil
}
