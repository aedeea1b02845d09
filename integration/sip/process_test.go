package sip

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is how long a test waits for what should come at once.
	patience = 45 * time.Second
	poll     = 10 * time.Millisecond
)

// within waits until a condition holds, and fails the test after limit.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for end := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still waiting for %s after %v", what, limit)
		}
	}
}

// process is a program that the test started, in a process group of its own.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	out  string        // file with what it writes
	done chan struct{} // closed when it has ended; err is set before
	err  error
}

// start starts a program in dir. It is ended with the test, and what it wrote is
// shown if the test failed.
func start(t testing.TB, dir, bin string, args ...string) *process {
	t.Helper()
	out, err := os.CreateTemp(dir, filepath.Base(bin)+"-*.out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	p := &process{t: t, name: filepath.Base(bin), cmd: exec.Command(bin, args...), out: out.Name(), done: make(chan struct{})} //nolint:noctx // ended below
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = dir, out, out, ownGroup()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("--- %s %s\n%s", p.name, strings.Join(args, " "), p.output())
		}
	})
	return p
}

// output is the end of what it wrote.
func (p *process) output() string {
	text, _ := os.ReadFile(p.out)
	const keep = 16 << 10
	return string(text[max(0, len(text)-keep):])
}

// stop ends it, gently at first, with all its children. Now and then Kamailio
// says goodbye and then waits for ever for a lock that one of its children held
// when it was ended.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.t.Logf("%s does not stop by itself", p.name)
	}
	p.kill()
}

// kill ends it as a power cut does, and waits until it is gone.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// ended is the exit code; false while it runs.
func (p *process) ended() (code int, ended bool) {
	select {
	case <-p.done:
	default:
		return 0, false
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatalf("waiting for %s: %v", p.name, p.err)
	}
	return p.cmd.ProcessState.ExitCode(), true
}
