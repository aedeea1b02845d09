package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dibs-calls/dibs/internal/testport"
)

// Options of a private server.
type Options struct {
	// Durable keeps Postgres's default durability (fsync and full_page_writes
	// on), which benchmarks and crash tests need. Without it a commit does not
	// wait for the disk, and everything is in memory where there is room.
	Durable bool
	// Settings are server settings by name, e.g. "max_connections": "20".
	Settings map[string]string
	// Env is what the server takes from the environment ("NAME=value") beside
	// this process's own.
	Env []string
}

// Server is a private Postgres server. It is safe for concurrent use.
type Server struct {
	dir      string // everything of the server; its data in dir/data
	bin      string
	port     int
	password string
	options  Options
	owner    *credential // nil: as this process
	guard    *watchdog

	mu     sync.Mutex
	cmd    *exec.Cmd     // nil: not running
	exited chan struct{} // closed when cmd has ended
}

const (
	role         = "dibs" // may create databases, and is no superuser
	startTimeout = 60 * time.Second
)

// New makes a cluster in a temporary folder and starts its server. Close it.
func New(o Options) (_ *Server, err error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(folderFor(o), "dibs-pgtest-")
	if err != nil {
		return nil, err
	}
	guard, err := startWatchdog(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{dir: dir, bin: bin, password: rand.Text(), options: o, owner: owner, guard: guard}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.initCluster(); err != nil {
		return nil, err
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, s.makeRole()
}

func (s *Server) initCluster() error {
	pwfile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(pwfile, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := s.owner.own(s.dir, pwfile); err != nil {
		return err
	}
	var out []byte
	var err error
	// C.UTF-8 knows upper and lower case of all letters; where the system
	// lacks it, C must do.
	for _, locale := range []string{"C.UTF-8", "C"} {
		cmd := s.command("initdb", "--pgdata", s.data(), "--username", "postgres", "--pwfile", pwfile,
			"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", locale, "--no-sync")
		if out, err = cmd.CombinedOutput(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
}

// Start starts the server, on the same port as before, and returns when it
// takes connections. Starting a server that runs does nothing.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for deadline := time.Now().Add(startTimeout); ; {
		if s.running() {
			return nil
		}
		err := s.startOnce()
		// After a kill the last of the old processes may take a moment to go.
		if err == nil || !strings.Contains(err.Error(), "pre-existing shared memory block") || time.Now().After(deadline) {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (s *Server) startOnce() error {
	logFile, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // the server has a descriptor of its own
	cmd := s.command("postgres", s.arguments()...)
	cmd.Env = append(cmd.Env, s.options.Env...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := s.guard.watch(cmd.Process.Pid); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended does not matter; the log says it
		close(exited)
	}()
	s.cmd, s.exited = cmd, exited
	return s.waitReady()
}

func (s *Server) arguments() []string {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-h", "127.0.0.1"}
	settings := map[string]string{
		"unix_socket_directories": "", "max_connections": "200", "log_min_messages": "warning",
	}
	if !s.options.Durable {
		settings["fsync"], settings["full_page_writes"] = "off", "off"
		// Beside the data: /dev/shm would keep what a killed server leaves behind.
		settings["dynamic_shared_memory_type"] = "mmap"
	}
	for name, value := range s.options.Settings {
		settings[name] = value
	}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres", "postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the Postgres server ended as it started: %s", s.Log())
		case <-ctx.Done():
			return fmt.Errorf("the Postgres server takes no connections: %w: %s", err, s.Log())
		case <-tick.C:
		}
	}
}

func (s *Server) makeRole() error {
	secret, err := verifier(s.password)
	if err != nil {
		return err
	}
	return s.exec(s.url("postgres", "postgres"), fmt.Sprintf("CREATE ROLE %s LOGIN CREATEDB PASSWORD '%s'", role, secret))
}

func (s *Server) exec(databaseURL, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return execAt(ctx, databaseURL, sql)
}

func execAt(ctx context.Context, databaseURL, sql string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// URL is the address of a database of the server, for a role that may create
// databases and is no superuser.
func (s *Server) URL(database string) string { return s.url(role, database) }

// AdminURL is the same for the superuser.
func (s *Server) AdminURL(database string) string { return s.url("postgres", database) }

func (s *Server) url(user, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, s.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// CreateDatabase makes an empty database and returns its [Server.URL].
func (s *Server) CreateDatabase(name string) (string, error) {
	err := s.exec(s.URL("postgres"), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return s.URL(name), err
}

// Log returns what the server wrote.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command is a program of Postgres, run as the cluster's owner. It gets a
// process group of its own, so that an interrupt from the keyboard leaves the
// end to this package.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.owner.apply(cmd.SysProcAttr)
	return cmd
}

func freePort() (int, error) {
	addr, err := testport.TCP()
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
