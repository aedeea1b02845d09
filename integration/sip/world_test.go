package sip

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

const (
	// lease is short, so that a test need not wait long for its end.
	lease = 4 // seconds

	example    = "../../examples/kamailio"
	readyLimit = time.Minute
)

// world is a SIP proxy with dibs behind it.
type world struct {
	t       testing.TB
	dir     string
	nats    *natstest.Server
	dibs    harness.Dibs
	server  *harness.Server
	api     *harness.Client
	asked   string   // the URL at which the proxy asks dibs
	sign    []string // how dibs finds NATS, and signs in there
	told    string   // the URL at which the proxy tells NATS
	proxy   string   // host:port
	gateway string   // where the proxy sends calls; a callee may listen there
	control string   // socket of kamcmd

	kamailio *process

	mu     sync.Mutex
	events []client.Event // guarded by mu
}

// newWorld starts everything for that many people and clients, with a lease in
// seconds: dibs on SQLite, and a NATS server where everybody may do everything.
// change is called before the proxy starts.
func newWorld(t *testing.T, people, clients, lease int, change ...func(*world)) *world {
	t.Helper()
	w := emptyWorld(t, harness.Store{})
	w.startNATS()
	w.sign, w.told = []string{"--nats-url", w.nats.URL()}, w.nats.URL()
	w.open(people, clients, lease, change...)
	return w
}

func emptyWorld(t *testing.T, store harness.Store) *world {
	t.Helper()
	store.DataDir = filepath.Join(t.TempDir(), "data")
	w := &world{t: t, dir: t.TempDir(), proxy: harness.FreeUDPAddr(t), gateway: harness.FreeUDPAddr(t), dibs: harness.Dibs{Binary: tools.dibs, Store: store}}
	var err error
	if w.nats, err = natstest.NewServer(tools.nats, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) startNATS() {
	w.t.Helper()
	if err := w.nats.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.nats.Kill() })
}

// open starts all but NATS.
func (w *world) open(people, clients, lease int, change ...func(*world)) {
	t := w.t
	t.Helper()
	w.fill(people, clients)
	key := strings.TrimSpace(w.dibs.MustRun(t, "token", "create", "--role", "service", "--name", "kamailio"))
	admin := strings.TrimSpace(w.dibs.MustRun(t, "token", "create", "--role", "admin", "--name", "test"))
	w.serve(harness.FreeAddr(t))
	w.api = harness.NewClient(t, w.server.URL, admin)
	w.watch(admin)
	w.asked = w.server.URL
	for _, f := range change {
		f(w)
	}
	w.startProxy(key, lease)
}

// fill adds people u0@example.com … and clients with the numbers +12025550000 ….
func (w *world) fill(people, clients int) {
	w.t.Helper()
	var users, leads strings.Builder
	users.WriteString("email,first_name,last_name\n")
	for n := range people {
		fmt.Fprintf(&users, "%s,User,%d\n", email(n), n)
	}
	leads.WriteString("name,phone\n")
	for n := range clients {
		fmt.Fprintf(&leads, "Lead %d,%s\n", n, number(n))
	}
	for name, text := range map[string]string{"users": users.String(), "clients": leads.String()} {
		file := filepath.Join(w.dir, name+".csv")
		write(w.t, file, text)
		w.dibs.MustRun(w.t, name, "import", file)
	}
}

func email(n int) string  { return fmt.Sprintf("u%d@example.com", n) }
func number(n int) string { return fmt.Sprintf("+1202555%04d", n) }

func (w *world) serve(addr string) {
	w.t.Helper()
	w.server = w.dibs.ServeAt(w.t, addr, w.sign...)
	w.server.WaitReady(readyLimit)
}

// watch collects live events until the test ends.
func (w *world) watch(token string) {
	w.t.Helper()
	dibs, err := client.New(w.server.URL, client.APIKey(token))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, ready := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		once := sync.OnceFunc(func() { close(ready) })
		for e, err := range dibs.Watch(ctx) {
			if err != nil {
				w.t.Errorf("watching: %v", err)
				return
			}
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
			if e.Type == client.Snapshot && !e.Stale { // what follows is all that happens
				once()
			}
		}
	}()
	w.t.Cleanup(func() { cancel(); <-done; dibs.Close() })
	select {
	case <-ready:
	case <-time.After(patience):
		w.t.Fatal("no live events")
	}
}

// calls returns the events of a type so far.
func (w *world) calls(kind client.EventType) []client.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []client.Event
	for _, e := range w.events {
		if e.Type == kind {
			found = append(found, e)
		}
	}
	return found
}

// startProxy starts Kamailio with the example as it is.
func (w *world) startProxy(key string, lease int) {
	w.t.Helper()
	dir := filepath.Join(w.dir, "kamailio")
	if err := os.CopyFS(dir, os.DirFS(example)); err != nil {
		w.t.Fatal(err)
	}
	socket, err := os.MkdirTemp("", "dibs-kam-") // the path of a socket must be short
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(socket) })
	w.control = "unix:" + filepath.Join(socket, "ctl")
	lines := []string{
		`#!define SIP_LISTEN udp:` + w.proxy,
		`#!define SIP_GATEWAY "sip:` + w.gateway + `"`,
		`#!define DIBS_URL "` + w.asked + `"`,
		`#!define DIBS_KEY "` + key + `"`,
		`#!define DIBS_NATS "` + w.told + `"`,
		`#!define DIBS_USERS "text://` + filepath.Join(dir, "db") + `"`,
		`#!define CTL_SOCKET "` + w.control + `"`,
		fmt.Sprintf("#!define DIBS_LEASE %d", lease),
		fmt.Sprintf("#!define DIBS_EVERY %d", max(1, lease/5)),
		"disable_core_dump=yes", // its NATS module crashes when it ends
	}
	write(w.t, filepath.Join(dir, "kamailio-local.cfg"), strings.Join(lines, "\n")+"\n")
	run := w.t.TempDir()
	w.kamailio = start(w.t, run, tools.kamailio, "-f", filepath.Join(dir, "kamailio.cfg"), "-DD", "-E",
		"-w", run, "-Y", run, "-P", filepath.Join(run, "pid"), "-m", "64", "-M", "8")
	within(w.t, patience, "Kamailio", func() bool {
		if code, ended := w.kamailio.ended(); ended {
			w.t.Fatalf("Kamailio ended with %d", code)
		}
		return w.pings()
	})
}

// pings asks the proxy for a sign of life, as other SIP servers do.
func (w *world) pings() bool {
	conn, err := net.Dial("udp", w.proxy)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	request := "OPTIONS sip:ping@localhost SIP/2.0\r\nVia: SIP/2.0/UDP " + conn.LocalAddr().String() +
		";branch=z9hG4bKping\r\nFrom: <sip:test@localhost>;tag=1\r\nTo: <sip:ping@localhost>\r\nCall-ID: ping\r\n" +
		"CSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
	answer := make([]byte, 2048)
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte(request)); err != nil {
		return false
	}
	n, err := conn.Read(answer)
	return err == nil && strings.HasPrefix(string(answer[:n]), "SIP/2.0 200")
}

// kamcmd asks the proxy something, as an operator does.
func (w *world) kamcmd(args ...string) string {
	w.t.Helper()
	p := start(w.t, w.dir, tools.kamcmd, append([]string{"-s", w.control}, args...)...)
	select {
	case <-p.done:
	case <-time.After(patience):
		w.t.Fatalf("kamcmd %v hangs", args)
	}
	if code, _ := p.ended(); code != 0 {
		w.t.Fatalf("kamcmd %v: %s", args, p.output())
	}
	return p.output()
}

// onCall returns who is on a call.
func (w *world) onCall() []messages.UserStatus { return w.api.Statuses(w.t, true) }

// nothingLeft waits until neither dibs nor the proxy knows of a call.
func (w *world) nothingLeft() {
	w.t.Helper()
	within(w.t, time.Minute, "the end of all calls", func() bool {
		return len(w.onCall()) == 0 && !strings.Contains(w.kamcmd("htable.dump", "calls"), "name") &&
			strings.Contains(w.kamcmd("dlg.stats_active"), "all: 0")
	})
	if dead := w.dibs.MustRun(w.t, append([]string{"dead", "list"}, w.sign...)...); strings.Contains(dead, "dibs.ingest") {
		w.t.Errorf("call events could not be applied:\n%s", dead)
	}
}

// serverNow is the time by dibs's clock, to the second.
func (w *world) serverNow() time.Time {
	w.t.Helper()
	r := harness.Must(w.t, http.StatusOK)(w.api.Do(w.t.Context(), http.MethodGet, "/healthz", nil))
	now, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		w.t.Fatal(err)
	}
	return now
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
