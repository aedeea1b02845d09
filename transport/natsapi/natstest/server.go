package natstest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/internal/testport"
)

const startWithin = time.Minute

// Build compiles the nats-server of the version in go.mod into dir and returns
// its path. The go command caches all but the linking.
func Build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "nats-server")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", bin, "github.com/nats-io/nats-server/v2")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build nats-server: %w\n%s", err, out)
	}
	return bin, nil
}

// Server is a nats-server process with JetStream, on a port of its own that it
// keeps over restarts. It is used by one goroutine.
type Server struct {
	// Config is further lines of its configuration file; set before Start.
	Config string
	// File, if set before Start, is a configuration file to be used as it is,
	// but for the address, and in the server's folder, so that what it keeps
	// beside it stays there. Env is what it takes from the environment
	// ("NAME=value").
	File string
	Env  []string

	bin, dir, addr string
	cmd            *exec.Cmd
}

// NewServer describes a server that keeps its files in dir; Start starts it.
func NewServer(bin, dir string) (*Server, error) {
	addr, err := testport.TCP()
	if err != nil {
		return nil, fmt.Errorf("looking for a free port: %w", err)
	}
	return &Server{bin: bin, dir: dir, addr: addr}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return "nats://" + s.addr }

// Addr is the host and port of the URL.
func (s *Server) Addr() string { return s.addr }

// Start starts the process and waits until it takes clients.
func (s *Server) Start(ctx context.Context) error {
	args, err := s.configure()
	if err != nil {
		return err
	}
	s.cmd = exec.Command(s.bin, append(args, "-l", filepath.Join(s.dir, "nats.log"))...)
	s.cmd.Dir, s.cmd.Env = s.dir, append(os.Environ(), s.Env...)
	var stderr bytes.Buffer // says what is wrong with the configuration
	s.cmd.Stderr = &stderr
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := s.greets(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.dir, "nats.log"))
			killed := s.Kill()
			return errors.Join(fmt.Errorf("nats-server does not answer: %w\n%s%s", err, stderr.Bytes(), log), killed)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// configure returns the arguments of the process.
func (s *Server) configure() ([]string, error) {
	if s.File != "" {
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			return nil, err
		}
		file, err := filepath.Abs(s.File)
		return []string{"-c", file, "-a", host, "-p", port}, err
	}
	config := filepath.Join(s.dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream {\n store_dir: %q\n max_mem: 64M\n max_file: 8G\n}\n%s\n",
		s.addr, filepath.Join(s.dir, "store"), s.Config)
	return []string{"-c", config}, os.WriteFile(config, []byte(text), 0o600)
}

// greets connects and reads the server's first line.
func (s *Server) greets(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	line, err := "", conn.SetReadDeadline(time.Now().Add(time.Second))
	if err == nil {
		line, err = bufio.NewReader(conn).ReadString('\n')
	}
	if err == nil && !strings.HasPrefix(line, "INFO ") {
		err = fmt.Errorf("it says %q", line)
	}
	return errors.Join(err, conn.Close())
}

// Kill ends the process as kill -9 does, and waits for its end. Nothing happens
// if it does not run.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
	return err
}
