package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits bound what connections can cost before a request is known to be
// anybody's. The zero value of a field is its default.
type Limits struct {
	// MaxConns is how many connections are open at a time; more wait to be
	// accepted. One costs up to 20 KiB while its header is read, one of HTTP/2
	// a few times that. Default 15,000, so that there is room beside the
	// readers of live events.
	MaxConns int
	// ReadHeaderTimeout is how long a header may take; default 5 s. With
	// MaxConns it says how long slow senders can keep others out.
	ReadHeaderTimeout time.Duration
	ReadTimeout       time.Duration // of header and body; default 15 s
	WriteTimeout      time.Duration // of the answer; default 40 s, must exceed the API's timeouts
	IdleTimeout       time.Duration // between requests; default 60 s
	MaxHeaderBytes    int           // default 16 KiB
}

func (l *Limits) setDefaults() {
	l.MaxConns = orDefault(l.MaxConns, 15_000)
	l.ReadHeaderTimeout = orDefault(l.ReadHeaderTimeout, 5*time.Second)
	l.ReadTimeout = orDefault(l.ReadTimeout, 15*time.Second)
	l.WriteTimeout = orDefault(l.WriteTimeout, 40*time.Second)
	l.IdleTimeout = orDefault(l.IdleTimeout, 60*time.Second)
	l.MaxHeaderBytes = orDefault(l.MaxHeaderBytes, 16<<10)
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Server serves a handler within [Limits].
type Server struct {
	http   *http.Server
	limits Limits
}

// NewServer makes a server that is not listening yet.
func NewServer(h http.Handler, limits Limits, log *slog.Logger) *Server {
	limits.setDefaults()
	s := &Server{limits: limits, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: limits.ReadHeaderTimeout,
		ReadTimeout:       limits.ReadTimeout,
		WriteTimeout:      limits.WriteTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.MaxHeaderBytes,
		// A stream costs a goroutine and buffers like a connection does.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 64, MaxReceiveBufferPerConnection: 128 << 10,
			MaxReceiveBufferPerStream: 64 << 10},
		// What net/http logs is what strangers do wrong: broken handshakes.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	if streams, ok := h.(interface{ EndStreams() }); ok {
		s.http.RegisterOnShutdown(streams.EndStreams) // they would never end by themselves
	}
	return s
}

// Serve answers on ln until Shutdown, and then returns nil. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	return closed(s.http.Serve(netutil.LimitListener(ln, s.limits.MaxConns)))
}

// ServeTLS is Serve over TLS with the certificate and key in these files.
func (s *Server) ServeTLS(ln net.Listener, certFile, keyFile string) error {
	return closed(s.http.ServeTLS(netutil.LimitListener(ln, s.limits.MaxConns), certFile, keyFile))
}

// Shutdown stops accepting, and waits for the requests under way. When ctx
// ends first it breaks them off and returns ctx's error. It can be repeated.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	return err
}

func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
