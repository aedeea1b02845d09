// Package testport gives programs that tests start an address each. Whoever listens on
// port 0, closes, and starts a program there later, or again, shares the port with
// everybody who did the same meanwhile; here nobody is given it a second time, in this
// process or in another one of the same test run.
package testport

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are looked for below those that the system gives to whoever asks for any,
// so that nobody gets one by chance before the program that it is for.
const (
	tcpLow, tcpHigh = 12_000, 20_000
	udpLow, udpHigh = 20_000, 32_000
)

// given are the ports that were given out to this process, each with what keeps the
// other processes of a test run from giving it out too.
var given sync.Map //nolint:gochecknoglobals // the ports are the machine's, and the tests of a process have them in common

// TCP returns a loopback address (host:port) that nobody listens on, and that no other
// test is given: not before the program that it is for listens there, and not while that
// program is stopped to be started again.
func TCP() (string, error) {
	return free(tcpLow, tcpHigh, func(addr string) (io.Closer, error) { return net.Listen("tcp", addr) })
}

// UDP is [TCP] for who receives packets.
func UDP() (string, error) {
	return free(udpLow, udpHigh, func(addr string) (io.Closer, error) { return net.ListenPacket("udp", addr) })
}

func free(low, high int, listen func(addr string) (io.Closer, error)) (string, error) {
	for range 1000 {
		port := low + rand.IntN(high-low)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		mine, ok := reserve(port)
		if !ok {
			continue
		}
		if _, twice := given.LoadOrStore(port, mine); twice {
			continue
		}
		if l, err := listen(addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no port is free")
}
