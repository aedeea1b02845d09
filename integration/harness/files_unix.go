//go:build linux || darwin || netbsd || openbsd

package harness

import (
	"syscall"
	"testing"
)

// AllowFiles lets this process, and those that it starts from now on, have n
// files and connections open. A system that does not allow it fails the test:
// what needs them cannot be shown with fewer.
func AllowFiles(tb testing.TB, n uint64) {
	tb.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		tb.Fatalf("asking how many files may be open: %v", err)
	}
	if limit.Cur >= n && limit.Max >= n {
		return
	}
	wanted := syscall.Rlimit{Cur: max(limit.Cur, n), Max: max(limit.Max, n)} // above Max: an administrator's right
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted); err != nil {
		tb.Fatalf("this test has %d connections open, and the system allows %d (%v): allow more with ulimit -Hn %[1]d, or run the short tests", n, limit.Max, err)
	}
}
