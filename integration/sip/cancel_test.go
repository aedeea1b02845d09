package sip

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/client"
)

// TestCancelledWhileAsking: a caller who gives up while dibs is still being asked
// leaves nothing behind, although the claim is granted.
func TestCancelledWhileAsking(t *testing.T) {
	t.Parallel()
	questions, answer := make(chan struct{}, 8), make(chan struct{})
	w := newWorld(t, 2, 2, lease, func(w *world) {
		dibs, err := url.Parse(w.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		forward := httputil.NewSingleHostReverseProxy(dibs)
		slow := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			questions <- struct{}{}
			<-answer
			forward.ServeHTTP(rw, r)
		}))
		t.Cleanup(slow.Close)
		w.asked = slow.URL
	})
	w.callee(t, "ring")
	conn, err := net.Dial("udp", w.proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	say := func(method string) {
		t.Helper()
		me := conn.LocalAddr().String()
		if _, err := conn.Write([]byte(method + " sip:" + number(0) + "@" + w.proxy + " SIP/2.0\r\nVia: SIP/2.0/UDP " + me +
			";branch=z9hG4bKx\r\nFrom: <sip:" + email(0) + ">;tag=f\r\nTo: <sip:callee@localhost>\r\nCall-ID: cancelled\r\nCSeq: 1 " +
			method + "\r\nContact: <sip:phone@" + me + ">\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	// hear returns the status line of the next answer to method.
	hear := func(method string) string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		packet := make([]byte, 4096)
		for {
			n, err := conn.Read(packet)
			if err != nil {
				t.Fatalf("waiting for an answer to %s: %v", method, err)
			}
			if strings.Contains(string(packet[:n]), "CSeq: 1 "+method+"\r\n") {
				line, _ := bufio.NewReader(strings.NewReader(string(packet[:n]))).ReadString('\n')
				return strings.TrimSpace(line)
			}
		}
	}

	say("INVITE")
	if got := hear("INVITE"); !strings.HasPrefix(got, "SIP/2.0 100") {
		t.Errorf("%q", got)
	}
	<-questions
	say("CANCEL")
	close(answer)
	final := hear("INVITE")
	for strings.HasPrefix(final, "SIP/2.0 1") {
		final = hear("INVITE")
	}
	if strings.HasPrefix(final, "SIP/2.0 2") {
		t.Errorf("a call that was given up: %q", final)
	}
	say("ACK")
	within(t, patience, "the claim and its end", func() bool { return len(w.calls(client.CallEnded)) == 1 })
	if e := w.calls(client.CallEnded)[0]; e.Reason != "completed" {
		t.Errorf("the claim ended with %q", e.Reason)
	}
	w.nothingLeft()
}
