package natsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// jetStreamMemory bounds what consumers and streams may keep in memory.
	jetStreamMemory = 64 << 20
	// jetStreamDisk is no bound: every stream has one of its own, and a server
	// that finds a bound below what its streams may take leaves them out.
	jetStreamDisk = 1 << 50
	// syncInterval is how much of a stream without [Embedded.Sync] a loss of
	// power may cost. The server's own default is two minutes.
	syncInterval = time.Second

	startWithin = 30 * time.Second
)

// EmbeddedConfig describes the server inside the process.
type EmbeddedConfig struct {
	// Dir is the folder of its streams. It is made if need be, and belongs to
	// one process at a time.
	Dir string

	// Listen is a host:port for other programs; empty: there is no port.
	// Beyond loopback it needs Token and a certificate.
	Listen string
	Token  string // what other programs must give; empty: nothing
	// Cert and Key are PEM files; with them the port speaks TLS only.
	Cert, Key string

	// Routes makes it one server of a cluster.
	Routes RoutesConfig
}

func (c EmbeddedConfig) check() error {
	if err := c.Routes.check(); err != nil {
		return err
	}
	if c.Listen == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		return fmt.Errorf("the embedded NATS server cannot listen on %q: give host:port, as in 127.0.0.1:4222", c.Listen)
	}
	if !loopback(c.Listen) && (c.Token == "" || c.Cert == "") {
		return fmt.Errorf("the embedded NATS server on %s could be reached from other machines, and whoever reaches it can read and forge events: give it a token and a certificate, or listen on 127.0.0.1", c.Listen)
	}
	return TLS{Cert: c.Cert, Key: c.Key}.check()
}

// Embedded is a NATS server with JetStream inside the process.
type Embedded struct {
	server  atomic.Pointer[server.Server] // replaced when it is started anew
	ready   atomic.Bool                   // it has started, and is not being stopped
	lock    *flock.Flock
	token   string
	files   *syncer
	control *control // nil: commands cannot reach it
	health  *health
	stop    sync.Once
	done    chan struct{}
}

// StartEmbedded starts the server and waits until it can be used. Its errors
// are sentences for the person who runs it.
func StartEmbedded(cfg EmbeddedConfig, log *slog.Logger) (*Embedded, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	files := newSyncer(filepath.Join(cfg.Dir, server.JetStreamStoreDir))
	e := &Embedded{lock: lock, token: cfg.Token, done: make(chan struct{}), health: newHealth(files), files: files}
	if err := e.start(cfg, log); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	e.health.watch(e, cfg, log)
	return e, nil
}

func lockFolder(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the embedded NATS server cannot be made: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the folder of the embedded NATS server cannot be used: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("another process uses the embedded NATS server in %s: stop it, or give this one another data folder", dir)
	}
	return lock, nil
}

func (e *Embedded) start(cfg EmbeddedConfig, log *slog.Logger) error {
	options, err := serverOptions(cfg)
	if err != nil {
		return err
	}
	expected, err := streamsToLoad(cfg, log)
	if err != nil {
		return err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("the embedded NATS server cannot be set up: %w", err)
	}
	e.server.Store(s)
	messages := &serverLog{log: log.With("component", "nats-server"), health: e.health}
	s.SetLoggerV2(messages, false, false, false)
	s.Start()
	if reason := messages.fatal(); reason != "" {
		e.shutdown()
		return fmt.Errorf("the embedded NATS server in %s cannot start: %s", cfg.Dir, reason)
	}
	if !s.ReadyForConnections(startWithin) {
		e.shutdown()
		return fmt.Errorf("the embedded NATS server in %s was not ready within %s: the log says what it was doing", cfg.Dir, startWithin)
	}
	if lost := e.missing(expected); len(lost) > 0 {
		e.shutdown()
		return fmt.Errorf("the embedded NATS server cannot read what it stored in %s (the log says why): move that folder away to begin with an empty one; events that were not published yet are safe in the store", strings.Join(lost, ", "))
	}
	if e.control, err = listenControl(cfg.Dir, s, log); err != nil {
		log.Warn("commands such as 'dibs dead' cannot reach the embedded NATS server", "error", err)
	}
	e.ready.Store(true)
	return nil
}

// streamsToLoad are the folders of streams that the server must have read when it
// has started. One of several servers loads its streams when it has found the
// others, and gets from them what it lacks.
func streamsToLoad(cfg EmbeddedConfig, log *slog.Logger) ([]string, error) {
	if err := checkKind(cfg); err != nil {
		return nil, err
	}
	if cfg.Routes.Listen != "" {
		return nil, nil
	}
	return cleanStreams(cfg.Dir, log)
}

func serverOptions(cfg EmbeddedConfig) (*server.Options, error) {
	o := &server.Options{
		ServerName: "dibs", DontListen: cfg.Listen == "", NoSigs: true,
		JetStream: true, StoreDir: cfg.Dir, DisableJetStreamBanner: true,
		JetStreamMaxMemory: jetStreamMemory, JetStreamMaxStore: jetStreamDisk,
		SyncInterval: syncInterval, Authorization: cfg.Token,
	}
	if err := cfg.Routes.apply(o); err != nil {
		return nil, err
	}
	if cfg.Listen == "" {
		return o, nil
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, err // check has seen it
	}
	if o.Port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	o.Host = host
	if cfg.Cert == "" {
		return o, nil
	}
	o.TLS, o.TLSTimeout = true, 5
	o.TLSConfig, err = server.GenTLSConfig(&server.TLSConfigOpts{CertFile: cfg.Cert, KeyFile: cfg.Key})
	if err != nil {
		return nil, fmt.Errorf("the certificate of the embedded NATS server: %w", err)
	}
	return o, nil
}

// streamFolders lists the streams on disk. A server that cannot read one only
// writes to its log and goes on without, and would then begin it anew.
func streamFolders(dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, server.JetStreamStoreDir, "*", "streams", "*"))
	if err != nil {
		return nil // the pattern is constant
	}
	return found
}

func (e *Embedded) missing(folders []string) []string {
	loaded := map[string]bool{}
	state, err := e.server.Load().Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return folders
	}
	for _, account := range state.AccountDetails {
		for _, stream := range account.Streams {
			loaded[stream.Name] = true
		}
	}
	var lost []string
	for _, folder := range folders {
		if !loaded[filepath.Base(folder)] {
			lost = append(lost, folder)
		}
	}
	return lost
}

// Addr is where other programs can connect; nil without a port.
func (e *Embedded) Addr() net.Addr {
	if addr := e.server.Load().Addr(); addr != nil {
		return addr
	}
	return nil
}

// connectOptions is how to reach the server from inside the process.
func (e *Embedded) connectOptions() []nats.Option {
	options := []nats.Option{nats.InProcessServer(current{e})}
	if e.token != "" {
		options = append(options, nats.Token(e.token))
	}
	return options
}

// Ready reports why the server cannot be relied on, if so.
func (e *Embedded) Ready() error {
	if !e.ready.Load() || !e.server.Load().Running() {
		return errors.New("the embedded NATS server does not run")
	}
	return e.files.failed()
}

// Sync returns when everything that this server has written is on stable storage: all
// that it has acknowledged, unless it is one of several, where what it was acknowledged by
// may be another one. See [keepers].
//
// An acknowledgement of JetStream says that the message was given to the
// operating system: it outlives the process, not a loss of power. The outbox
// row of an event must therefore not be cleared on the acknowledgement alone.
// The server could be told to sync every message by itself (SyncAlways), at the
// price of one disk flush an event, which is some hundreds a second and stands
// between a start and its readers; one flush a pass of the publisher costs no
// reader anything, and serves all events of the pass.
//
// After a failure it fails for ever: an operating system may drop what it could
// not write and report success the next time. What was not cleared is published
// again after a restart.
func (e *Embedded) Sync() error { return e.files.sync() }

// Stop stops the server, or gives up waiting when ctx ends. It can be repeated.
func (e *Embedded) Stop(ctx context.Context) error {
	e.stop.Do(func() {
		go func() {
			e.health.close()
			e.shutdown()
			close(e.done)
		}()
	})
	select {
	case <-e.done:
		return e.lock.Unlock()
	case <-ctx.Done():
		return fmt.Errorf("the embedded NATS server did not stop in time: %w", ctx.Err())
	}
}

func (e *Embedded) shutdown() {
	e.ready.Store(false)
	if e.control != nil {
		e.control.close()
		e.control = nil
	}
	s := e.server.Load()
	s.Shutdown()
	s.WaitForShutdown()
}
