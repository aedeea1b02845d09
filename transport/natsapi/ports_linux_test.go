package natsapi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// listening returns the ports that this process listens on, as the kernel says.
func listening(t *testing.T) []string {
	t.Helper()
	ours := map[string]bool{}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			ours[target] = true
		}
	}
	var ports []string
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		table, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // no IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) {
			// sl local_address rem_address st … inode; 0A is LISTEN
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && ours[fmt.Sprintf("socket:[%s]", f[9])] {
				ports = append(ports, f[1])
			}
		}
	}
	return ports
}

func TestEmbeddedServerOpensNoPort(t *testing.T) {
	before := listening(t)
	quiet := inProcess(t, t.TempDir())
	quiet.Embedded.Listen = ""
	bus := open(t, quiet)
	outbox := &natstest.Outbox{}
	publishing(t, bus, outbox)
	outbox.Add(natstest.Started(1, 0))
	empty(t, outbox)
	if now := listening(t); len(now) != len(before) {
		t.Errorf("listening on %v, before on %v", now, before)
	}
	if addr := bus.Addr(); addr != nil {
		t.Errorf("the server says that it listens on %v", addr)
	}

	// That a port would have been seen:
	open(t, inProcess(t, t.TempDir()))
	if now := listening(t); len(now) != len(before)+1 {
		t.Errorf("listening on %v, before on %v; want one more", now, before)
	}
}
