package live_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/httpapi"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// The benchmarks go through the HTTP handler that the server runs, sign-in
// check included:
//
//	go test -run '^$' -bench . -benchtime 3s ./live
//
// Those with readers run them in a process of their own, so that what is
// measured is the server's.

const (
	benchUsers = 10_000
	benchCalls = 3_000
)

// benchTruth is a team of 10,000, of whom 3,000 are on calls. Names and ids vary
// as they do in life, so that compression is not flattered.
type benchTruth struct {
	users []messages.User
	calls []messages.LiveCall
}

func newBenchTruth() *benchTruth {
	first := []string{"Ana", "Ben", "Cleo", "Dan", "Eva", "Femi", "Gustav", "Hana", "Ivo", "Jana", "Kofi", "Lena", "Mateo", "Nora", "Omar", "Pia"}
	last := []string{"Alvarez", "Baker", "Chen", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanov", "Jensen", "Kowalski", "Lindqvist", "Moreau"}
	t := &benchTruth{}
	for i := range benchUsers {
		u := messages.User{ID: messages.UserID{UUID: uuid.New()}, FirstName: first[i%len(first)],
			LastName: fmt.Sprintf("%s %c", last[i/7%len(last)], 'A'+i%26), Role: messages.RoleUser}
		u.Email = strings.ToLower(fmt.Sprintf("%s.%s%d@example.com", u.FirstName, strings.Fields(u.LastName)[0], i))
		t.users = append(t.users, u)
		if i%10 < 3 {
			t.calls = append(t.calls, benchCall(u, time.Now().Add(-time.Duration(i)*time.Second), 1))
		}
	}
	return t
}

func benchCall(u messages.User, at time.Time, token int64) messages.LiveCall {
	at = at.UTC().Truncate(time.Microsecond)
	c := messages.ClientSummary{ID: messages.ClientID{UUID: uuid.New()}}
	c.Name = "Client " + c.ID.String()[:6]
	c.Phone = fmt.Sprintf("+1650%07d", c.ID.ID()%10_000_000)
	c.Email = "office@" + c.ID.String()[:6] + ".example.org"
	return messages.LiveCall{User: u, Client: c, Call: messages.Call{ID: messages.CallID{UUID: uuid.New()},
		ClientID: c.ID, UserID: u.ID, StartedAt: at, LeaseExpiresAt: at.Add(messages.DefaultLease), Token: token}}
}

func (t *benchTruth) ActiveUsers(context.Context) ([]messages.User, error) {
	return t.users, nil
}
func (t *benchTruth) CallsInProgress(context.Context) ([]messages.LiveCall, error) {
	return t.calls, nil
}

// oneUser is a store that knows one token.
type oneUser struct {
	httpapi.Store
	digest [32]byte
	who    messages.Principal
}

func (s oneUser) PrincipalByToken(_ context.Context, digest [32]byte) (messages.Principal, error) {
	if digest != s.digest {
		return messages.Principal{}, &messages.Error{Code: messages.CodeUnauthenticated}
	}
	return s.who, nil
}

type benchServer struct {
	truth *benchTruth
	model *live.Model
	api   *httpapi.API
	token string
}

// benchOptions are what a server of these benchmarks is made of.
type benchOptions struct {
	users *benchTruth
	truth live.Truth       // who the model asks; benchTruth unless changed
	store httpapi.Store    // who the API asks; oneUser unless changed
	now   func() time.Time // of the API
}

func newBenchServer(tb testing.TB) *benchServer {
	tb.Helper()
	return newBenchServerOn(tb, func(*benchOptions) {})
}

func newBenchServerOn(tb testing.TB, change func(*benchOptions)) *benchServer {
	tb.Helper()
	registry, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	s := &benchServer{truth: newBenchTruth()}
	token, digest := auth.NewSession()
	s.token = token
	o := benchOptions{users: s.truth, truth: s.truth, now: time.Now,
		store: oneUser{digest: digest, who: messages.Principal{User: s.truth.users[0]}}}
	change(&o)
	var err error
	if s.model, err = live.New(live.Config{Truth: o.truth, Log: log, Metrics: registry, ReconcileEvery: time.Hour}); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.model.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-done })
	for !s.model.Loaded() {
		time.Sleep(time.Millisecond) // not the fake clock, and nothing else tells
	}
	passwords, err := auth.NewPasswords(auth.Params{MemoryKiB: 64, Passes: 1, Threads: 1}, 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	s.api, err = httpapi.New(httpapi.Config{
		Calls: noCalls{}, Passwords: passwords, Metrics: registry, Log: log, Statuses: s.model, Live: s.model,
		Store: o.store, Now: o.now,
		Ready: func(context.Context) error { return nil }, MaxReaders: 20_000, MaxReadersEach: 20_000,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

type noCalls struct{ httpapi.Calls }

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

// BenchmarkUserStatus is GET /api/user-status in the handler alone, on one core:
// "changing" has a call start or end before each request.
func BenchmarkUserStatus(b *testing.B) {
	s := newBenchServer(b)
	_, tag, err := s.model.StatusBody(false, true)
	if err != nil {
		b.Fatal(err)
	}
	for _, tc := range []struct {
		name, path string
		header     map[string]string
		status     int
		changing   bool
	}{
		{"match", "/api/user-status", map[string]string{"Accept-Encoding": "gzip", "If-None-Match": `"` + tag + `-gzip"`}, 304, false},
		{"gzip", "/api/user-status", map[string]string{"Accept-Encoding": "gzip"}, 200, false},
		{"plain", "/api/user-status", nil, 200, false},
		{"gzip/on_call", "/api/user-status?on_call=true", map[string]string{"Accept-Encoding": "gzip"}, 200, false},
		{"gzip/changing", "/api/user-status", map[string]string{"Accept-Encoding": "gzip"}, 200, true},
	} {
		b.Run(tc.name, func(b *testing.B) {
			r, _ := http.NewRequest("GET", tc.path, nil)
			r.Header.Set("Authorization", "Bearer "+s.token)
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			var out discard
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if tc.changing {
					i++
					s.model.Committed(s.truth.toggle(i))
				}
				out = discard{header: http.Header{}}
				s.api.ServeHTTP(&out, r)
				if out.status != tc.status {
					b.Fatalf("status %d", out.status)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
			b.ReportMetric(float64(out.bytes), "bytes")
		})
	}
}

// BenchmarkUserStatusOverLoopback has as many connections as cores; who asks
// runs in the same process.
func BenchmarkUserStatusOverLoopback(b *testing.B) {
	s := newBenchServer(b)
	address := s.listen(b)
	_, tag, err := s.model.StatusBody(false, true)
	if err != nil {
		b.Fatal(err)
	}
	for _, tc := range []struct{ name, header string }{
		{"match", `If-None-Match: "` + tag + `-gzip"`}, {"gzip", "Accept-Encoding: gzip"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			request := fmt.Appendf(nil, "GET /api/user-status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n", s.token, tc.header)
			cpu := cpuTime(b)
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				in := bufio.NewReaderSize(conn, 64<<10)
				for pb.Next() {
					if err := ask(conn, in, request); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
			b.ReportMetric(float64(b.N)/(cpuTime(b)-cpu).Seconds(), "answers/core-s")
		})
	}
}

// ask makes a request and throws the answer away.
func ask(conn net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			_, err = in.Discard(length)
			return err
		}
	}
}

// toggle starts a call of somebody who is on none, and then ends it.
func (t *benchTruth) toggle(i int) []messages.Event {
	u := t.users[i/2*10%benchUsers+9]
	c := benchCall(u, time.Now(), int64(i/2+2))
	c.Client.ID, c.Call.ClientID = messages.ClientID{UUID: u.ID.UUID}, messages.ClientID{UUID: u.ID.UUID}
	c.Call.ID = messages.CallID{UUID: uuid.NewSHA1(u.ID.UUID, []byte(strconv.Itoa(i/2)))}
	e := messages.Event{Type: messages.EventCallStarted, At: time.Now().UTC(), Call: c.Call, User: u, Client: c.Client}
	if i%2 == 1 {
		e.Type, e.Reason = messages.EventCallEnded, messages.ReasonCompleted
	}
	e.ID = messages.EventID(c.Call.ID, e.Type)
	return []messages.Event{e}
}

// listen serves the API over loopback.
func (s *benchServer) listen(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := httpapi.NewServer(s.api, httpapi.Limits{MaxConns: 20_000}, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(server.Shutdown(ctx), <-served); err != nil {
			tb.Error(err)
		}
	})
	return ln.Addr().String()
}

// BenchmarkIdleReaders is the memory of the server's process for each reader
// that is connected and was sent a snapshot of 3,000 calls.
func BenchmarkIdleReaders(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				s := newBenchServer(b)
				address := s.listen(b)
				before := residentKiB(b)
				readers := startReaders(b, address, s.token, n)
				after := residentKiB(b)
				readers.stop(b)
				b.ReportMetric(float64(after-before)/float64(n), "KiB/reader")
				b.ReportMetric(float64(after)/1024, "MiB/process")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// BenchmarkFanOut is the time from Committed until the last of 1,000 readers
// has read the event, at 200 calls (400 events) a second.
func BenchmarkFanOut(b *testing.B) {
	const readers, rate, events = 1000, 400, 6000
	for b.Loop() {
		s := newBenchServer(b)
		group := startReaders(b, s.listen(b), s.token, readers)
		committed := make([]time.Time, 2*events)
		ticker := time.NewTicker(time.Second / rate)
		began, cpu := time.Now(), cpuTime(b)
		for i := range events {
			<-ticker.C
			e := s.truth.toggle(i)
			committed[number(e[0])] = time.Now()
			s.model.Committed(e)
		}
		ticker.Stop()
		cores := (cpuTime(b) - cpu).Seconds() / time.Since(began).Seconds()
		last := group.stop(b)
		var took []time.Duration
		for k, at := range committed {
			if at.IsZero() {
				continue
			}
			seen, ok := last[k]
			if !ok || seen.Readers != readers {
				b.Fatalf("event %d was read by %d readers", k, seen.Readers)
			}
			took = append(took, time.Unix(0, seen.Last).Sub(at))
		}
		slices.Sort(took)
		at := func(q float64) float64 {
			return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
		}
		b.ReportMetric(at(.5), "p50-ms")
		b.ReportMetric(at(.99), "p99-ms")
		b.ReportMetric(at(1), "max-ms")
		b.ReportMetric(cores, "cores")
		b.ReportMetric(0, "ns/op")
	}
}

// number names an event in a few bytes: twice its token, and one more if it is
// an end.
func number(e messages.Event) int {
	k := 2 * int(e.Call.Token)
	if e.Type == messages.EventCallEnded {
		k++
	}
	return k
}

// residentKiB is the resident memory of this process once garbage is gone.
func residentKiB(tb testing.TB) int {
	tb.Helper()
	freeMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}

// cpuTime is what this process has used of all cores.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readerGroup is a process full of readers.
type readerGroup struct {
	cmd   *exec.Cmd
	stdin interface{ Close() error }
	out   *bytes.Buffer
	done  sync.WaitGroup
}

// seen is when an event was read last, and by how many.
type seen struct {
	Last    int64 // Unix nanoseconds
	Readers int
}

// startReaders returns when all have read their snapshot.
func startReaders(tb testing.TB, address, token string, n int) *readerGroup {
	tb.Helper()
	g := &readerGroup{cmd: exec.Command(os.Args[0], "-test.run=^TestReaderProcess$", "-test.v=false"), out: &bytes.Buffer{}}
	g.cmd.Env = append(os.Environ(), readerEnv+"="+fmt.Sprintf("%s %d %s", address, n, token))
	g.cmd.Stderr = os.Stderr
	stdin, err := g.cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	g.stdin = stdin
	stdout, err := g.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = g.cmd.Process.Kill() })
	ready := make([]byte, len(readyLine))
	if _, err := readFull(stdout, ready); err != nil || string(ready) != readyLine {
		tb.Fatalf("the readers did not start: %q, %v", ready, err)
	}
	g.done.Go(func() { _, _ = g.out.ReadFrom(stdout) })
	return g
}

// stop waits until all have read what was sent, ends the process, and returns
// what it saw of each event.
func (g *readerGroup) stop(tb testing.TB) map[int]seen {
	tb.Helper()
	_ = g.stdin.Close()
	g.done.Wait()
	if err := g.cmd.Wait(); err != nil {
		tb.Fatal(err)
	}
	line, _, _ := strings.Cut(g.out.String(), "\n")
	var all map[int]seen
	if err := json.Unmarshal([]byte(line), &all); err != nil {
		tb.Fatalf("%q: %v", line, err)
	}
	return all
}
