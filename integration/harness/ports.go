package harness

import (
	"testing"

	"github.com/dibs-calls/dibs/internal/testport"
)

// FreeAddr returns a loopback address that nobody listens on, and that no other test
// is given: not before the program that it is for listens there, and not while that
// program is stopped to be started again.
func FreeAddr(tb testing.TB) string { return freeAddr(tb, testport.TCP) }

// FreeUDPAddr is [FreeAddr] for who receives packets.
func FreeUDPAddr(tb testing.TB) string { return freeAddr(tb, testport.UDP) }

func freeAddr(tb testing.TB, next func() (string, error)) string {
	tb.Helper()
	addr, err := next()
	if err != nil {
		tb.Fatal(err)
	}
	return addr
}
