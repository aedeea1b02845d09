package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// node is a dibs server and how it is started.
type node struct {
	out                   io.Writer // what happens is told there
	name, http, cluster   string
	binary, dir, database string
	args                  []string

	mu  sync.Mutex
	cmd *exec.Cmd // the last one started; under mu
}

func (n *node) log() string { return n.dir + ".log" }

func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Pid
}

// start starts the server. It gets a process group of its own: Ctrl-C is for us,
// who stop it then.
func (n *node) start() (ended chan error, err error) {
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has a descriptor of its own
	cmd := exec.Command(n.binary, append([]string{"serve", "--listen", n.http, "--data", n.dir}, n.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "DIBS_") { // what is set for other servers
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "DIBS_DATABASE_URL="+n.database)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.cmd = cmd
	n.mu.Unlock()
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

// stop asks the server to stop, and kills it if it does not.
func (n *node) stop(ended chan error) error {
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case err := <-ended:
		return err
	case <-time.After(stopWithin):
		_ = n.cmd.Process.Kill()
		return fmt.Errorf("node %s did not stop within %s and was killed (%w): see %s", n.name, stopWithin, <-ended, n.log())
	}
}

// once starts the server, and stops it when it has said that it listens.
func (n *node) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	ended, err := n.start()
	if err != nil {
		return err
	}
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if said, _ := os.ReadFile(n.log()); strings.Contains(string(said), "dibs listens on") {
			return n.stop(ended)
		}
		select {
		case err := <-ended:
			return n.ended(err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), n.stop(ended))
		case <-tick.C:
		}
	}
}

// keep keeps the server running until ctx ends, and stops it then. One that was
// killed comes back; one that ends by itself does not, because it would again.
func (n *node) keep(ctx context.Context) error {
	for {
		ended, err := n.start()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return n.stop(ended)
		case err = <-ended:
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() >= 0 { // not by a signal
			return n.ended(err)
		}
		_, _ = fmt.Fprintf(n.out, "Node %s is gone (%v). It comes back in %s.\n", n.name, err, absent)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(absent):
		}
		_, _ = fmt.Fprintf(n.out, "Node %s comes back.\n", n.name)
	}
}

// ended says why a server that should run does not.
func (n *node) ended(err error) error {
	why := "by itself"
	if err != nil {
		why = err.Error()
	}
	said, _ := os.ReadFile(n.log())
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return fmt.Errorf("node %s ended (%s):\n%s", n.name, why, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// waitReady waits until the server says that it can be sent requests, or one of
// the servers has failed.
func (n *node) waitReady(ctx context.Context, failed <-chan error) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for tick, deadline := time.NewTicker(50*time.Millisecond), time.Now().Add(startWithin); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-tick.C:
		}
		resp, err := client.Get("http://" + n.http + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
		}
		switch {
		case err == nil && resp.StatusCode == http.StatusOK:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("node %s is not ready after %s: see %s", n.name, startWithin, n.log())
		}
	}
}
