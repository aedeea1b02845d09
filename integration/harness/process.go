package harness

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is one run of the binary.
type Process struct {
	tb     testing.TB
	cmd    *exec.Cmd
	stdout output
	stderr output
	done   chan struct{} // closed when it has ended; err is set before
	err    error
}

// output collects what a process writes. The goroutines of os/exec write it,
// tests read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// startProcess starts bin. It is killed at the end of the test, and its output
// shown if the test failed.
func startProcess(tb testing.TB, bin string, env []string, args ...string) *Process {
	tb.Helper()
	p := &Process{tb: tb, cmd: exec.CommandContext(context.Background(), bin, args...), done: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("starting dibs %s: %v", strings.Join(args, " "), err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("dibs %s\n--- stdout\n%s\n--- stderr\n%s", strings.Join(args, " "),
				tail(p.Stdout()), tail(p.Stderr()))
		}
	})
	return p
}

// tail keeps the end of a long output, where the reason stands.
func tail(s string) string {
	const keep = 16 << 10
	if len(s) > keep {
		return "…" + s[len(s)-keep:]
	}
	return s
}

// Stdout is what it wrote to standard output so far.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr is what it wrote to standard error so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends it as kill -9 does, and waits until it is gone. It can be repeated.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Signal sends it a signal.
func (p *Process) Signal(sig os.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.tb.Fatalf("%v to dibs: %v", sig, err)
	}
}

// Terminate sends SIGTERM and returns its exit code and how long it took.
// More than limit fails the test.
func (p *Process) Terminate(limit time.Duration) (code int, took time.Duration) {
	p.tb.Helper()
	begin := time.Now()
	p.Signal(syscall.SIGTERM)
	code = p.Wait(limit)
	return code, time.Since(begin)
}

// Wait waits until it ends by itself and returns its exit code. More than limit
// fails the test.
func (p *Process) Wait(limit time.Duration) int {
	p.tb.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.tb.Fatalf("dibs is still running after %v", limit)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.tb.Fatalf("waiting for dibs: %v", p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}
