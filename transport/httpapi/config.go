package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/phone"
	"github.com/dibs-calls/dibs/transport/spans"
	"github.com/dibs-calls/dibs/transport/wire"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// Config is what an [API] is made of. Fields without "default" are required.
type Config struct {
	Calls     Calls
	Store     Store
	Statuses  StatusList // default: reads Store anew each time
	Live      LiveEvents // default: none, GET /api/events answers 503
	Passwords *auth.Passwords
	// Ready reports whether the process can do its work now (/readyz).
	Ready func(ctx context.Context) error
	// Reachable reports whether the store is believed to answer; default: it
	// always is. While it is not, what needs the store is refused at once
	// instead of after a hang, and sessions that were seen lately still count.
	Reachable func() bool
	Metrics   *prometheus.Registry // shown at /metrics; this package adds its own
	Log       *slog.Logger
	Tracing   *spans.Tracing // default: none

	Now             func() time.Time // default: time.Now
	RequestTimeout  time.Duration    // how long a request may take once its body was read; default 5 s
	CleanUpTimeout  time.Duration    // the same for the clean-up of long calls; default 20 s
	SessionLifetime time.Duration    // default 24 h
	// Admission says which requests are taken on when there are too many; default:
	// one of its own, for at most MaxInFlight (default 4096) requests at a time.
	Admission      *admission.Limiter
	MaxInFlight    int
	MaxReaders     int    // of live events at a time; default 10,000
	MaxReadersEach int    // of live events for one caller; default 100
	Region         string // of phone numbers without a country code, e.g. "US"; default: none
	// BehindProxy: a proxy that terminates TLS stands before the server, and
	// appends the address it was asked from to X-Forwarded-For. Only then is
	// that header believed.
	BehindProxy bool
}

func (c *Config) setDefaults() error {
	if c.Calls == nil || c.Store == nil || c.Passwords == nil || c.Ready == nil || c.Metrics == nil || c.Log == nil {
		return errors.New("httpapi: Calls, Store, Passwords, Ready, Metrics and Log are required")
	}
	if c.Region != "" && !phone.ValidRegion(c.Region) {
		return fmt.Errorf("httpapi: %q is not a region of phone numbers; use two capital letters such as US", c.Region)
	}
	if c.Reachable == nil {
		c.Reachable = func() bool { return true }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.RequestTimeout = orDefault(c.RequestTimeout, 5*time.Second)
	c.CleanUpTimeout = orDefault(c.CleanUpTimeout, 20*time.Second)
	c.SessionLifetime = orDefault(c.SessionLifetime, 24*time.Hour)
	if c.Statuses == nil {
		c.Statuses = storeStatuses{c.Store, c.RequestTimeout}
	}
	if c.Admission == nil {
		c.Admission = admission.New(admission.Options{Most: c.MaxInFlight})
	}
	c.MaxReaders = orDefault(c.MaxReaders, 10_000)
	c.MaxReadersEach = orDefault(c.MaxReadersEach, 100)
	return nil
}

// API answers HTTP requests. It starts no goroutine that outlives a request by
// more than the request timeout, and needs no closing.
type API struct {
	Config

	handler  http.Handler
	header   []headerLine
	rooms    rooms
	larder   *larder
	saved    *larder
	zips     zips
	inFlight atomic.Int64 // requests with a place, for the metrics
	requests *prometheus.HistogramVec

	principals *principals
	lookups    singleflight.Group // of principals, by digest
	csrf       *http.CrossOriginProtection
	keyRates   *keyRates
	signIns    *signIns
	desk       *wire.Desk
	readiness  *readiness
	openAPITag string
	busyLog    *rate.Sometimes // 503s: under overload, logging each would add to it

	readers    *readers // of live events
	times      streamTimes
	streaming  context.Context // ends with all streams
	endStreams context.CancelFunc
}

// New makes the API, and registers its metrics.
func New(cfg Config) (*API, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	a := &API{
		Config:     cfg,
		header:     securityHeader(),
		larder:     newLarder(),
		saved:      newSaved(),
		principals: newPrincipals(),
		csrf:       http.NewCrossOriginProtection(),
		keyRates:   newKeyRates(),
		signIns:    newSignIns(),
		desk:       wire.NewDesk(cfg.Calls, cfg.Store, cfg.Now),
		readiness:  &readiness{},
		openAPITag: tagOf(openAPIDocument),
		busyLog:    &rate.Sometimes{First: 10, Interval: time.Second},
		readers:    newReaders(cfg.MaxReaders, cfg.MaxReadersEach),
		times:      defaultStreamTimes(),
	}
	a.desk.SetDirectory(cfg.Store, cfg.Region)
	a.streaming, a.endStreams = context.WithCancel(context.Background())
	if err := a.registerMetrics(); err != nil {
		return nil, err
	}
	var err error
	a.handler, err = a.router()
	return a, err
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// EndStreams ends all streams of live events, and those that come later at once.
// A [Server] calls it when it is shut down.
func (a *API) EndStreams() { a.endStreams() }
