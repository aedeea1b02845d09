package natsapi

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	connectTimeout = 2 * time.Second
	// A server that does not answer two pings is gone, whatever TCP says.
	pingInterval = 2 * time.Second
	pingsOut     = 2
	// writeTimeout bounds how long a server that does not read can hold up a
	// publisher.
	writeTimeout = 2 * time.Second

	reconnectFirst = 50 * time.Millisecond
	reconnectMost  = 200 * time.Millisecond
)

// link is the connection to NATS, and whether it is up.
type link struct {
	nc  *nats.Conn
	log *slog.Logger

	mu      sync.Mutex
	up      bool
	changed chan struct{} // closed when up changes, and replaced

	losses prometheus.Counter

	closing atomic.Bool // we closed the connection ourselves
	lost    chan error  // why the connection was closed for good, though we did not ask for it
}

// dial connects. A server that refuses us is an error; one that cannot be
// reached is tried for ever, because calls do not need it.
func dial(cfg Config, embedded *Embedded) (*link, error) {
	l := &link{
		log: cfg.Log, changed: make(chan struct{}), lost: make(chan error, 1),
		losses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_nats_connection_losses_total", Help: "How often the connection to NATS was lost.",
		}),
	}
	options, err := l.options(cfg, embedded)
	if err != nil {
		return nil, err
	}
	_, changed := l.state()
	l.nc, err = nats.Connect(cfg.URL, options...)
	if err == nil {
		select { // of the handler, so that it stays the only one who says so
		case <-changed:
		case <-time.After(connectTimeout):
		}
		return l, nil
	}
	if embedded != nil || refused(err) {
		return nil, cannotConnect(err, cfg.URL)
	}
	cfg.Log.Warn("NATS cannot be reached; trying on", "url", withoutSecrets(cfg.URL), "error", err)
	l.nc, err = nats.Connect(cfg.URL, append(options, nats.RetryOnFailedConnect(true))...)
	if err != nil {
		return nil, cannotConnect(err, cfg.URL)
	}
	return l, nil
}

func (l *link) options(cfg Config, embedded *Embedded) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name("dibs"), nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1), nats.CustomReconnectDelay(reconnectDelay), nats.IgnoreAuthErrorAbort(),
		// Nothing is buffered while the connection is down: what could not be
		// published stays in the outbox.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsOut), nats.FlusherTimeout(writeTimeout),
		nats.ConnectHandler(func(*nats.Conn) { l.set(true) }),
		nats.ReconnectHandler(func(*nats.Conn) {
			l.log.Info("connected to NATS again")
			l.set(true)
		}),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if nc.IsClosed() {
				return
			}
			l.log.Warn("connection to NATS lost", "error", err)
			l.losses.Inc()
			l.set(false)
		}),
		nats.ClosedHandler(l.closed),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.log.Warn("NATS", "error", err) }),
	}
	if embedded != nil {
		return append(options, embedded.connectOptions()...), nil
	}
	auth, err := cfg.Auth.options()
	if err != nil {
		return nil, err
	}
	return append(append(options, auth...), cfg.TLS.options()...), nil
}

func (a Auth) options() ([]nats.Option, error) {
	switch {
	case a.Creds != "":
		return []nats.Option{nats.UserCredentials(a.Creds)}, nil
	case a.NKey != "":
		option, err := nats.NkeyOptionFromSeed(a.NKey)
		if err != nil {
			return nil, fmt.Errorf("the NATS nkey file %s: %w", a.NKey, err)
		}
		return []nats.Option{option}, nil
	case a.Token != "":
		return []nats.Option{nats.Token(a.Token)}, nil
	case a.User != "" || a.Password != "":
		return []nats.Option{nats.UserInfo(a.User, a.Password)}, nil
	}
	return nil, nil
}

func (t TLS) options() []nats.Option {
	var options []nats.Option
	if t.CA != "" {
		options = append(options, nats.RootCAs(t.CA))
	}
	if t.Cert != "" {
		options = append(options, nats.ClientCert(t.Cert, t.Key))
	}
	return options
}

// reconnectDelay spreads out the nodes that lost the same server, and is short
// enough that all agree again soon after it is back.
func reconnectDelay(attempts int) time.Duration {
	d := reconnectMost
	if attempts < 5 {
		d = min(d, reconnectFirst<<attempts)
	}
	return d/2 + rand.N(d/2)
}

// closed is called when there will never be a connection again: we wanted it so, or
// the server said something after which the library does not connect anew (that a
// line of the protocol was too long, say). All that works over the connection is
// bound to it, so then only another process helps.
func (l *link) closed(nc *nats.Conn) {
	l.set(false)
	if l.closing.Load() {
		return
	}
	why := nc.LastError()
	if why == nil {
		why = nats.ErrConnectionClosed
	}
	l.log.Error("the connection to NATS was closed for good", "error", why)
	select {
	case l.lost <- fmt.Errorf("the connection to NATS was closed for good: %w", why):
	default: // it was said
	}
}

// close ends the connection.
func (l *link) close() {
	l.closing.Store(true)
	if l.nc != nil {
		l.nc.Close()
	}
}

func (l *link) set(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up == up {
		return
	}
	l.up = up
	close(l.changed)
	l.changed = make(chan struct{})
}

// state returns whether the connection is up, and a channel that is closed when
// that changes.
func (l *link) state() (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.changed
}

// refused: trying again would not help.
func refused(err error) bool {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		address  *url.Error
	)
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired) ||
		errors.Is(err, nats.ErrNkeysNotSupported) || errors.Is(err, nats.ErrSecureConnWanted) ||
		errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid) || errors.As(err, &address)
}

// cannotConnect says why there is no connection. What an address that cannot be
// parsed says about itself is left out: it quotes the password.
func cannotConnect(err error, address string) error {
	var parse *url.Error
	switch {
	case errors.As(err, &parse):
		return errors.New("the address of the NATS server cannot be understood (in a user name or password, everything but letters and digits is written as %XX)")
	case refused(err):
		return fmt.Errorf("the NATS server at %s refuses the connection: check credentials and certificates: %w", withoutSecrets(address), err)
	}
	return fmt.Errorf("the connection to NATS cannot be set up: %w", err)
}

// withoutSecrets leaves out user and password of each address.
func withoutSecrets(addresses string) string {
	list := strings.Split(addresses, ",")
	for i, address := range list {
		if at := strings.LastIndex(address, "@"); at >= 0 {
			scheme, _, found := strings.Cut(address, "://")
			list[i] = address[at+1:]
			if found {
				list[i] = scheme + "://" + list[i]
			}
		}
	}
	return strings.Join(list, ",")
}
