package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

const (
	// maxConns is how many connections the server has open at a time; see
	// httpapi.Limits.
	maxConns = 15_000
	// beyond is how many more the test opens. They wait in the system's queue,
	// which is short on some systems.
	beyond = 100
	// others is what a server may have open besides: the store, NATS.
	others = 64
)

// TestSlowHeaders opens as many connections as the server takes, and some more,
// that never finish their first line, and a new one for each that the server
// closes. They cost little. Who is connected is served as ever, who comes is
// served in turn, and none stays.
func TestSlowHeaders(t *testing.T) {
	n, full := maxConns+beyond, maxConns
	if testing.Short() {
		n, full = 500, 500
	}
	harness.AllowFiles(t, uint64(n+1000))
	d := onSQLite(t)
	connect := newDialer(t, d, 1, 1)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team := connect(s)
	files := openFiles(t, s.URL)
	before, memory := files(), s.ResidentMemory()

	attack := besiege(t, s.Addr, n)
	most := 0
	// A machine that is slow for a while does not open so many in the few seconds after
	// which the server closes them, however long it tries. What else is said here holds
	// there too.
	atOnce, patience := false, time.Now().Add(45*time.Second)
	waitFor(t, 2*time.Minute, "connections to be open at once", func() bool {
		now := files() - before
		most = max(most, now)
		atOnce = now > full-others
		return atOnce || time.Now().After(patience) && most > full/10
	})
	if !atOnce {
		t.Logf("at most %d connections were open at once, not %d: that the server takes no more is not tried", most, full)
	}
	for range 20 { // who is connected is served meanwhile
		harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
		harness.Must(t, http.StatusOK)(team.end(t, 0), nil)
		most = max(most, files()-before)
	}
	if grown := s.ResidentMemory() - memory; grown > flat+int64(n)*24<<10 {
		t.Errorf("%d slow connections cost %d MiB", n, grown>>20)
	}
	// Who comes now is behind the slow ones that wait for a place, and gets one
	// when the server closes those that have one.
	closed := attack.closed.Load()
	harness.Must(t, http.StatusOK)(harness.NewClient(t, s.URL, "").Do(t.Context(), http.MethodGet, "/healthz", nil))
	if full == maxConns && atOnce && attack.closed.Load() == closed {
		t.Error("somebody was served before a place was free")
	}
	if most = max(most, files()-before); most > maxConns+others {
		t.Errorf("the server had %d more files open, at most %d connections are to be", most, maxConns)
	}
	attack.end()
	waitFor(t, time.Minute, "the files of the slow connections to be closed", func() bool { return files()-before < others })
	harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
}

// siege holds slow connections to a server.
type siege struct {
	t      *testing.T
	addr   string
	over   context.Context // when done, no new connections are opened
	end    func()          // waits until the server has closed all
	closed atomic.Int64    // connections that the server has closed
}

// besiege keeps n slow connections until the siege's end.
func besiege(t *testing.T, addr string, n int) *siege {
	over, cancel := context.WithCancel(t.Context())
	s := &siege{t: t, addr: addr, over: over}
	var slow sync.WaitGroup
	s.end = func() { cancel(); slow.Wait() }
	t.Cleanup(s.end)
	for range n {
		slow.Go(func() {
			for over.Err() == nil && s.hold() {
			}
		})
	}
	return s
}

// hold opens a connection, sends the beginning of a request, and waits until
// the server closes it; false: that did not happen.
func (s *siege) hold() bool {
	conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(s.over, "tcp", s.addr)
	if err != nil {
		if s.over.Err() == nil {
			s.t.Error(err)
		}
		return false
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Error(err)
		return false
	}
	// An error of writing is one of reading, too.
	_, _ = io.WriteString(conn, "PUT /api/user-status HTTP/1.1\r\nHost: di")
	var said [64]byte // some servers say 408 before they close
	for err == nil {
		_, err = conn.Read(said[:])
	}
	if isTimeout(err) {
		s.t.Error("a connection that never finished its headers is still open after a minute")
		return false
	}
	s.closed.Add(1)
	return true
}

// openFiles returns what tells how many files and connections the server has
// open. It asks by a connection of its own, which stays.
func openFiles(t *testing.T, url string) func() int {
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	return func() int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var open float64
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if value, ok := bytes.CutPrefix(lines.Bytes(), []byte("process_open_fds ")); ok {
				_, err = fmt.Sscan(string(value), &open)
			}
		}
		if err != nil || lines.Err() != nil || open == 0 {
			t.Fatalf("the server does not tell how many files it has open: %v, %v", err, lines.Err())
		}
		return int(open)
	}
}
