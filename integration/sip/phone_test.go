package sip

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
)

// sipp starts a sipp process with a scenario of testdata.
func (w *world) sipp(t testing.TB, scenario, addr string, args ...string) *process {
	t.Helper()
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	_, control, err := net.SplitHostPort(harness.FreeUDPAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	return start(t, t.TempDir(), tools.sipp, append([]string{"-sf", filepath.Join(testdata, scenario+".xml"),
		"-i", host, "-p", port, "-ci", host, "-cp", control, "-nostdin", "-trace_err", "-error_file", "errors",
		"-default_behaviors", "all,-abortunexp"}, args...)...) // what is late is no reason to hang up
}

// phone is somebody's phone that makes one call, or all that the gateway calls.
type phone struct {
	*process
	addr, callID string
	log          string // file
}

// call has somebody call a number; from is what stands in From, behind "sip:".
func (w *world) call(t testing.TB, from, to string) *phone {
	t.Helper()
	ping, err := filepath.Abs("testdata/ping.xml")
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{addr: harness.FreeUDPAddr(t), log: filepath.Join(t.TempDir(), "log")}
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.callID = "1-" + port + "@phone"
	p.process = w.sipp(t, "caller", p.addr, w.proxy, "-m", "1", "-s", to, "-key", "user", from, "-oocsf", ping,
		"-cid_str", "%u-"+port+"@phone", "-trace_logs", "-log_file", p.log)
	return p
}

// said is what the phone has seen so far, a line each.
func (p *phone) said() []string {
	text, _ := os.ReadFile(p.log)
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// last is the last that it saw.
func (p *phone) last() string {
	all := p.said()
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// until waits until the last that the phone saw begins with what.
func (p *phone) until(t testing.TB, what string) string {
	t.Helper()
	within(t, patience, "a phone to see "+what, func() bool { return strings.HasPrefix(p.last(), what) })
	return p.last()
}

// settled waits until the call was answered or refused, and returns which.
func (p *phone) settled(t testing.TB) string {
	t.Helper()
	within(t, patience, "an answer or a refusal", func() bool {
		return p.last() == "answered" || strings.HasPrefix(p.last(), "refused")
	})
	return p.last()
}

// press presses the red button: it hangs up, or gives up while it rings.
func (p *phone) press(t testing.TB) {
	t.Helper()
	conn, err := net.Dial("udp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("INFO sip:phone@" + p.addr + " SIP/2.0\r\nVia: SIP/2.0/UDP " + conn.LocalAddr().String() +
		";branch=z9hG4bKhand\r\nFrom: <sip:hand@localhost>;tag=hand\r\nTo: <sip:phone@localhost>;tag=from-1\r\nCall-ID: " +
		p.callID + "\r\nCSeq: 99 INFO\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
}

// callee has the gateway behave as a scenario says, until the test ends.
func (w *world) callee(t testing.TB, scenario string) *phone {
	t.Helper()
	p := &phone{addr: w.gateway, log: filepath.Join(t.TempDir(), "log")}
	p.process = w.sipp(t, scenario, w.gateway, "-trace_logs", "-log_file", p.log)
	within(t, patience, "the callee", func() bool {
		if code, ended := p.ended(); ended {
			t.Fatalf("sipp ended with %d", code)
		}
		conn, err := net.ListenPacket("udp", w.gateway)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	return p
}
