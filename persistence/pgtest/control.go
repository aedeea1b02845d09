package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// StopMode is how a server is stopped.
type StopMode syscall.Signal

const (
	// Fast ends all sessions and writes everything out.
	Fast = StopMode(syscall.SIGINT)
	// Immediate ends all at once, as a crash does: the next start recovers.
	Immediate = StopMode(syscall.SIGQUIT)
)

// stopTimeout is how long a stop may take before it becomes a kill.
const stopTimeout = 30 * time.Second

// Stop stops the server and returns when it has ended. Stopping one that does
// not run does nothing.
func (s *Server) Stop(mode StopMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.Signal(mode)); err != nil {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
		_ = s.kill()
		return fmt.Errorf("the Postgres server did not stop within %s", stopTimeout)
	}
}

// Kill kills every process of the server, paused or not, with SIGKILL.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	return s.kill()
}

func (s *Server) kill() error {
	err := s.signalAll(syscall.SIGKILL)
	<-s.exited
	// The server refuses to start while one of its old processes is about.
	return err
}

// Pause stops every process of the server where it stands, so that it neither
// answers nor closes a connection. Resume lets them go on.
func (s *Server) Pause() error { return s.signalRunning(syscall.SIGSTOP) }

// Resume ends a [Server.Pause].
func (s *Server) Resume() error { return s.signalRunning(syscall.SIGCONT) }

func (s *Server) signalRunning(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return fmt.Errorf("the Postgres server does not run")
	}
	return s.signalAll(sig)
}

// signalAll reaches the postmaster first, so that it starts no process that
// the signal would miss.
func (s *Server) signalAll(sig syscall.Signal) error {
	if sig == syscall.SIGKILL {
		// A dead postmaster cannot be asked for its children: stop it first.
		_ = s.cmd.Process.Signal(syscall.SIGSTOP)
	} else if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	children, err := childrenOf(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	for _, pid := range children {
		// One that has ended meanwhile needs no signal.
		_ = syscall.Kill(pid, sig)
	}
	if sig == syscall.SIGKILL {
		return s.cmd.Process.Signal(sig)
	}
	return nil
}

// running reports whether the server runs; s.mu is held.
func (s *Server) running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Close kills the server and removes everything of it. It can be repeated.
func (s *Server) Close() error {
	err := s.Kill()
	s.guard.release()
	if _, missing := os.Stat(s.dir); missing == nil {
		return os.RemoveAll(s.dir)
	}
	return err
}

// childrenOf lists the child processes of a process.
func childrenOf(pid int) ([]int, error) {
	if pids, ok := childrenFromProc(pid); ok {
		return pids, nil
	}
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 && f[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(f[0]); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids, nil
}

func childrenFromProc(pid int) ([]int, bool) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		return nil, false
	}
	var pids []int
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …, and the name may hold anything.
		_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids, true
}
