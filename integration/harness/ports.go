package harness

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are looked for below those that the system gives to whoever asks for any,
// so that nobody gets one by chance before the program that it is for.
const (
	tcpLow, tcpHigh = 12_000, 20_000
	udpLow, udpHigh = 20_000, 32_000
)

// givenPorts are those that were given out to this process, each with what keeps
// the other processes of a test run from giving it out too.
var givenPorts sync.Map //nolint:gochecknoglobals // the ports are the machine's, and the tests of a process have them in common

// FreeAddr returns a loopback address that nobody listens on, and that no other test
// is given: not before the program that it is for listens there, and not while that
// program is stopped to be started again.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	return freeAddr(tb, tcpLow, tcpHigh, func(addr string) (io.Closer, error) { return net.Listen("tcp", addr) })
}

// FreeUDPAddr is [FreeAddr] for who receives packets.
func FreeUDPAddr(tb testing.TB) string {
	tb.Helper()
	return freeAddr(tb, udpLow, udpHigh, func(addr string) (io.Closer, error) { return net.ListenPacket("udp", addr) })
}

func freeAddr(tb testing.TB, low, high int, listen func(addr string) (io.Closer, error)) string {
	tb.Helper()
	for range 1000 {
		port := low + rand.IntN(high-low)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		mine, ok := reservePort(port)
		if !ok {
			continue
		}
		if _, given := givenPorts.LoadOrStore(port, mine); given {
			continue
		}
		if l, err := listen(addr); err == nil {
			if err := l.Close(); err != nil {
				tb.Fatal(err)
			}
			return addr
		}
	}
	tb.Fatal("no port is free")
	return ""
}
