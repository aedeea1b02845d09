package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// What strangers and broken programs do to GET /api/events.

// TestReadersThatComeAndGo opens and drops ten thousand streams, in all the ways
// in which a connection can end. What they cost comes back.
func TestReadersThatComeAndGo(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	const atATime = 64
	d := onSQLite(t)
	connect := newDialer(t, d, 4, 4)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team := connect(s)
	// A caller may read 100 times at once. Readers that are gone count until the
	// server has noticed, which takes a busy one a while: so several callers.
	keys := make([]string, 16)
	for i := range keys {
		keys[i] = serviceKey(t, d)
	}
	harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
	visit := func(from, to int) {
		var workers sync.WaitGroup
		next := atomic.Int64{}
		next.Store(int64(from))
		for range atATime {
			workers.Go(func() {
				for i := next.Add(1); i <= int64(to); i = next.Add(1) {
					if err := comeAndGo(s.Addr, keys[int(i)%len(keys)], int(i)); err != nil {
						t.Errorf("reader %d: %v", i, err)
						return
					}
				}
			})
		}
		workers.Wait()
	}
	gone := func() bool { return metric(t, s, "dibs_live_readers") == 0 }

	visit(0, 2*atATime) // what is made once and kept is made now
	waitFor(t, time.Minute, "the first readers to be gone", gone)
	goroutines, memory := metric(t, s, "go_goroutines"), s.ResidentMemory()
	visit(0, n)
	waitFor(t, time.Minute, "all readers to be gone", gone)
	waitFor(t, time.Minute, "their goroutines to end", func() bool { return metric(t, s, "go_goroutines") <= goroutines+5 })
	if grown := s.ResidentMemory() - memory; grown > flat {
		t.Errorf("after %d readers the server holds %d MiB more", n, grown>>20)
	}
	harness.Must(t, http.StatusOK)(team.end(t, 0), nil)
	mustNotPanic(t, s)
}

// comeAndGo is one reader: some read, some do not, some leave in good order, some
// break the connection off, some do not even finish asking.
func comeAndGo(addr, key string, i int) error {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && i%2 == 0 {
		_ = tcp.SetLinger(0) // closing breaks off
	}
	request := askFor(key, fmt.Sprintf("epoch:%d", i))
	if i%7 == 0 {
		request = request[:len(request)-2]
	}
	if _, err := io.WriteString(conn, request); err != nil || i%3 == 0 || i%7 == 0 {
		return err
	}
	in := bufio.NewReader(conn)
	status, err := in.ReadString('\n')
	if err == nil && !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return fmt.Errorf("the answer is %q", status)
	}
	for line := ""; err == nil; {
		if line == "event: snapshot\n" {
			return nil
		}
		line, err = in.ReadString('\n')
	}
	return fmt.Errorf("no snapshot came: %w", err)
}

func askFor(key, lastEventID string) string {
	return "GET /api/events HTTP/1.1\r\nHost: dibs\r\nAuthorization: Bearer " + key + "\r\nLast-Event-ID: " + lastEventID + "\r\n\r\n"
}

func mustNotPanic(t *testing.T, s *harness.Server) {
	t.Helper()
	if strings.Contains(s.Stderr()+s.Stdout(), "panic") {
		t.Error("the server's log speaks of a panic")
	}
}

// TestForgedLastEventID: who makes up where they were gets a snapshot, or a 4xx
// where it is no header at all; who says the truth goes on from there.
func TestForgedLastEventID(t *testing.T) {
	d := onSQLite(t)
	connect := newDialer(t, d, 1, 1)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team, key := connect(s), serviceKey(t, d)
	// Until then everybody is sent a snapshot anew when the server hears of events.
	waitFor(t, time.Minute, "the server to hear of events", func() bool { return metric(t, s, "dibs_live_stale") == 0 })
	first := openStream(t, s.Addr, key, "")
	genuine := first.until("snapshot").id
	epoch, _, _ := strings.Cut(genuine, ":")
	for _, id := range []string{
		"-", ":", "::", "0", "-1", "1e9", "NaN", "null", "' OR 1=1 --", "<script>alert(1)</script>", "../../etc/passwd",
		"0:0", "other:1", ":5", epoch, epoch + ":", epoch + ":-1", epoch + ":-9223372036854775808", epoch + ":+1",
		epoch + ":9223372036854775807", epoch + ":18446744073709551615", epoch + ":18446744073709551616",
		epoch + ":1" + strings.Repeat("0", 500), epoch + ":1.5", epoch + ":0x10", epoch + ":1:1", epoch + ": 1",
		strings.ToLower(epoch) + ":1", strings.Repeat("9", 8000), strings.Repeat("é", 2000), "\xff\xfe",
	} {
		e := openStream(t, s.Addr, key, id)
		if got := e.next(); got.name != "snapshot" {
			t.Errorf("%.60q: the first frame is %q", id, got.name)
		}
		_ = e.conn.Close()
	}
	for _, id := range []string{"\x00", "a\x7fb", strings.Repeat("x", 64<<10)} {
		if status := statusOf(t, s.Addr, askFor(key, id)); status < 400 || status > 499 {
			t.Errorf("%.60q: status %d", id, status)
		}
	}
	harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
	resumed := openStream(t, s.Addr, key, genuine)
	for {
		f := resumed.next()
		if f.name == "snapshot" {
			t.Fatal("a genuine id was answered with a snapshot")
		}
		if f.name == string(messages.EventCallStarted) {
			break
		}
	}
	mustNotPanic(t, s)
}

func statusOf(t *testing.T, addr, request string) int {
	t.Helper()
	conn := dial(t, addr)
	_, _ = io.WriteString(conn, request) // the server may have heard enough
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestReaderThatNeverReads: it is cut off when its half minute is over; until
// then it costs no more than a buffer, and nobody else waits for it.
func TestReaderThatNeverReads(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it takes half a minute, and the packages' own tests try it")
	}
	d := onSQLite(t)
	connect := newDialer(t, d, 32, 64)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team, key := connect(s), serviceKey(t, d)
	// Until then a snapshot may stand for events.
	waitFor(t, time.Minute, "the server to hear of events", func() bool { return metric(t, s, "dibs_live_stale") == 0 })
	reading := openStream(t, s.Addr, key, "")
	reading.until("snapshot")
	dumb, err := net.Dial("tcp", s.Addr)
	must(t, err)
	defer func() { _ = dumb.Close() }()
	must(t, dumb.(*net.TCPConn).SetReadBuffer(4<<10))
	_, err = io.WriteString(dumb, askFor(key, ""))
	must(t, err)
	waitFor(t, time.Minute, "two readers", func() bool { return metric(t, s, "dibs_live_readers") == 2 })
	memory := s.ResidentMemory()

	k := &killer{t: t, book: newLedger()}
	for _, u := range team.users {
		k.agents = append(k.agents, &agent{user: u})
	}
	k.load = load{ledger: k.book, clients: team.clients, api: team.Client}
	must(t, reading.conn.SetDeadline(time.Time{}))
	var seen atomic.Int64
	ended := make(chan struct{})
	go func() { defer close(ended); reading.count(&seen) }()
	// Some megabytes: more than the system keeps for a connection.
	k.work(12_000)
	waitFor(t, time.Minute, "the other reader to see all", func() bool { return seen.Load() >= k.book.acknowledged.Load() })
	waitFor(t, 2*time.Minute, "the reader that never reads to be cut off", func() bool { return metric(t, s, "dibs_live_readers") == 1 })
	if grown := s.ResidentMemory() - memory; grown > flat {
		t.Errorf("the server holds %d MiB more", grown>>20)
	}
	_ = reading.conn.Close()
	<-ended
	mustNotPanic(t, s)
}

// TestNamesWithoutEnd: a name of ten thousand characters is refused wherever one
// can be given, and changes nothing.
func TestNamesWithoutEnd(t *testing.T) {
	d := onSQLite(t)
	connect := newDialer(t, d, 1, 1)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team, key := connect(s), serviceKey(t, d)
	client, long := team.clients[0].String(), strings.Repeat("ñ", 10_000)
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "/api/clients", `{"name":"` + long + `","phone":"+12015550199"}`},
		{"PUT", "/api/clients/" + client, `{"name":"` + long + `"}`},
		{"PUT", "/api/clients/" + client, `{"email":"` + long + `@example.com"}`},
		{"PUT", "/api/clients/" + client, `{"phone":"` + long + `"}`},
		{"POST", "/api/auth/login", `{"email":"` + long + `@example.com","password":"x"}`},
	} {
		status, body := request(t, s.URL, key, tt.method, tt.path, tt.body)
		if status < 400 || status > 499 {
			t.Errorf("%s %s %.30q: status %d: %.200s", tt.method, tt.path, tt.body, status, body)
		}
		isProblem(t, body)
	}
	if p, code := d.Run(t, "users", "import", csvFile(t, [][]string{{"email", "first_name", "last_name"}, {"long@example.com", long, ""}})); code == 0 {
		t.Errorf("somebody with such a name was imported: %s", p.Stdout())
	}
	for _, flag := range []string{"--first-name", "--last-name"} {
		if p, code := d.Run(t, "users", "add", "long@example.com", "--no-password", flag, long); code == 0 {
			t.Errorf("somebody with such a %s was added: %s", flag[2:], p.Stdout())
		}
	}
	clients := team.AllClients(t)
	if len(clients) != 1 || len(clients[0].Name) > 100 || len(clients[0].Phone) > 20 {
		t.Errorf("there are %d clients, the first is %.100q", len(clients), clients[0].Name)
	}
	for _, u := range team.Statuses(t, false) {
		if len(u.FirstName) > 100 {
			t.Errorf("somebody has a name of %d bytes", len(u.FirstName))
		}
	}
}

// eventStream is a stream of live events, read by hand.
type eventStream struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

type streamed struct{ id, name, data string }

func openStream(t *testing.T, addr, key, lastEventID string) *eventStream {
	t.Helper()
	conn := dial(t, addr)
	_, err := io.WriteString(conn, askFor(key, lastEventID))
	must(t, err)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil) //nolint:bodyclose // it is the rest of the connection
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("Last-Event-ID %.60q: %s", lastEventID, resp.Status)
	}
	return &eventStream{t: t, conn: conn, in: bufio.NewReader(resp.Body)}
}

// read reads a frame that has a name.
func (e *eventStream) read() (f streamed, err error) {
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			return f, err
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "id":
			f.id = value
		case "event":
			f.name = value
		case "data":
			f.data = value
		case "":
			if f.name != "" {
				return f, nil
			}
		}
	}
}

func (e *eventStream) next() streamed {
	e.t.Helper()
	f, err := e.read()
	must(e.t, err)
	return f
}

func (e *eventStream) until(name string) streamed {
	e.t.Helper()
	for {
		if f := e.next(); f.name == name {
			return f
		}
	}
}

// count counts starts and ends until the connection is closed.
func (e *eventStream) count(n *atomic.Int64) {
	for {
		f, err := e.read()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				e.t.Errorf("the stream broke: %v", err)
			}
			return
		}
		if f.name == string(messages.EventCallStarted) || f.name == string(messages.EventCallEnded) {
			n.Add(1)
		}
	}
}
