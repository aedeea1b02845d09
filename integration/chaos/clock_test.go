package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clock is what a process is told of the time: a file with what is to be added
// to it. The process looks into it now and then.
type clock struct{ file string }

// newClock makes a clock that is right. The file can be read by everybody:
// Postgres does not run as root.
func newClock(t testing.TB) *clock {
	t.Helper()
	dir, err := os.MkdirTemp("", "dibs-chaos-clock-") //nolint:usetesting // nobody else may enter the test's own folder
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	c := &clock{file: filepath.Join(dir, "offset")}
	must(t, c.set(0))
	return c
}

// set says how far the clock is to be off, from now on.
func (c *clock) set(off time.Duration) error {
	next := c.file + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+d\n", int64(off.Seconds())), 0o644); err != nil {
		return err
	}
	return os.Rename(next, c.file)
}

// move sets the clock and sees to it that whoever reads it has noticed.
func (c *clock) move(off time.Duration, read func() (time.Time, error)) error {
	if err := c.set(off); err != nil {
		return err
	}
	const near = 10 * time.Second // less than any clock is moved
	for end := time.Now().Add(near); ; {
		at, err := read()
		if err == nil && time.Until(at.Add(-off)).Abs() < near {
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("the clock was moved by %v, and shows %v", off, at), err)
		}
	}
}

// faketime returns the environment in which a program of the C library sees the
// clock. It needs libfaketime, which distributions package.
func (c *clock) faketime() ([]string, error) {
	for _, pattern := range []string{"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 { // the pattern is right
			return []string{
				"LD_PRELOAD=" + found[0], "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_CACHE_DURATION=1",
				"FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1",
			}, nil
		}
	}
	return nil, errors.New("libfaketime is not installed")
}

// offsetVariable names the file to a node that buildWithClock made.
const offsetVariable = "CHAOS_CLOCK"

// buildWithClock compiles dibs with a standard library whose time.Now adds what
// the clock's file says. Go asks the kernel for the time past the C library, so
// libfaketime does not reach it; and a namespace has no wall clock of its own.
// The monotonic clock, by which timers run, stays as it is, as it does when an
// administrator sets the time.
func buildWithClock(t *testing.T) string {
	t.Helper()
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	must(t, err)
	library := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time")
	return build(t,
		mutation{
			file:     filepath.Join(library, "time.go"),
			guard:    "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {",
			replaced: "\tsec, nsec, mono := runtimeNow()\n\tsec += ChaosOffset\n\tif mono == 0 {",
		},
		mutation{
			file:     filepath.Join(library, "chaos.go"),
			replaced: "package time\n\nvar ChaosOffset int64\n",
		},
		mutation{file: "cmd/dibs/chaosclock.go", replaced: clockReader},
	)
}

const clockReader = `package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

func init() {
	go func() {
		for ; ; time.Sleep(20 * time.Millisecond) {
			text, err := os.ReadFile(os.Getenv("` + offsetVariable + `"))
			if err != nil {
				continue
			}
			if off, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
				time.ChaosOffset = off
			}
		}
	}()
}
`
