package testport

import (
	"fmt"
	"io"
	"net"
)

// reserve makes a port this process's own among test processes until it ends:
// whoever listens on the name of the port in the abstract namespace, which leaves no
// file behind and is as wide as the ports are, has it. It fails where somebody has.
func reserve(port int) (io.Closer, bool) {
	l, err := net.Listen("unix", fmt.Sprintf("@dibs-test-port-%d", port))
	if err != nil {
		return nil, false
	}
	return l, true
}
