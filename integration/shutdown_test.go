package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

const stopLimit = 10 * time.Second

// TestStoppedUnderLoad: SIGTERM while many agents start and end calls. The
// server exits with 0 within ten seconds, and nothing that it acknowledged is
// lost (I3).
func TestStoppedUnderLoad(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		connect := newDialer(t, d, 48, 64)
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		team := connect(s)
		var all []*agent
		for _, u := range team.users {
			all = append(all, &agent{user: u})
		}
		l := load{ledger: newLedger(), clients: team.clients, api: team.Client, dying: &atomic.Bool{}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.run(ctx, t, all)
		}()
		waitFor(t, time.Minute, "enough load", func() bool { return l.acknowledged.Load() > 500 })
		l.dying.Store(true)
		if code, took := s.Terminate(stopLimit); code != 0 {
			t.Errorf("exit code %d after %v", code, took)
		}
		<-done
		s = d.ServeAt(t, s.Addr)
		s.WaitReady(readyLimit)
		checkAfterRestart(t, openStore(t, d.Store), team, l.ledger, all)
	})
}

// TestStopAnswersWhatIsUnderWay: a request that the server has begun to read
// when SIGTERM comes is carried out and answered, though nobody can connect any
// more.
func TestStopAnswersWhatIsUnderWay(t *testing.T) {
	d := onSQLite(t)
	connect := newDialer(t, d, 1, 1)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team := connect(s)
	key := serviceKey(t, d)
	body, err := json.Marshal(team.startOf(0, 0))
	if err != nil {
		t.Fatal(err)
	}

	// The server says 100 Continue when its handler begins to read the body.
	conn := dial(t, s.Addr)
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "PUT /api/user-status HTTP/1.1\r\nHost: dibs\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", key, len(body))
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("expected to be told to go on: %q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}

	begin := time.Now()
	s.Signal(syscall.SIGTERM)
	waitFor(t, stopLimit, "the server to stop listening", func() bool {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("a request under way was not answered: %v", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s %v", resp.StatusCode, answer, err)
	}
	if code := s.Wait(stopLimit - time.Since(begin)); code != 0 {
		t.Errorf("exit code %d", code)
	}

	s = d.ServeAt(t, s.Addr)
	s.WaitReady(readyLimit)
	if onCall := team.Statuses(t, true); len(onCall) != 1 {
		t.Errorf("the call whose start was acknowledged is not in progress: %v", onCall)
	}
}
