package natsapi

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// Outages that last, by a clock that does not: the stream is a fake here. What a
// real server does in an outage is shown by TestBacklogDrains and its like.

// fakeStream takes messages, unless it is away or full.
type fakeStream struct {
	mu       sync.Mutex
	away     bool
	full     bool
	refuse   int // every so many messages one is refused; 0: none is
	tried    int
	messages []*jetstream.RawStreamMsg
}

var errAway = errors.New("nobody answers")

// jetStream is the fake as a publisher sees it. Its other methods are not called.
type jetStream struct {
	jetstream.JetStream
	*fakeStream
}

func (f jetStream) Stream(context.Context, string) (jetstream.Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return nil, errAway
	}
	return madeStream{}, nil
}

func fakeConfig() StreamConfig { return StreamConfig{Duplicates: DefaultDuplicates} }

type madeStream struct{ jetstream.Stream }

func (madeStream) CachedInfo() *jetstream.StreamInfo {
	return &jetstream.StreamInfo{Config: newStream(fakeConfig())}
}

// fakeConn is the fake as a sender sees it.
type fakeConn struct {
	*fakeStream
	replies chan *nats.Msg
}

func (w *fakeConn) NewInbox() string { return "inbox" }

func (w *fakeConn) ChanSubscribe(_ string, to chan *nats.Msg) (*nats.Subscription, error) {
	w.replies = to
	return &nats.Subscription{}, nil
}

func (w *fakeConn) PublishMsg(msg *nats.Msg) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return errAway
	}
	reply := `{"stream":"DIBS_EVENTS","seq":1}`
	if w.tried++; w.full || w.refuse > 0 && w.tried%w.refuse == 0 {
		reply = `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"DIBS_EVENTS","seq":0}`
	} else { // the header is not looked at; it is the next message's soon, as the data is
		w.messages = append(w.messages, &jetstream.RawStreamMsg{Sequence: uint64(len(w.messages) + 1), Data: bytes.Clone(msg.Data)})
	}
	w.replies <- &nats.Msg{Subject: msg.Reply, Data: []byte(reply)}
	return nil
}

func (f *fakeStream) set(change func(*fakeStream)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// team makes calls: so many clients are called at a time, for as long as a step
// takes.
type team struct {
	outbox  *natstest.Outbox
	p       *Publisher
	clients int
	call    int
	events  int
}

// step begins a call of each client, or ends it.
func (m *team) step() {
	for c := range m.clients {
		e := natstest.Started(c, m.call/2)
		if m.call%2 == 1 {
			e = natstest.Ended(c, m.call/2)
		}
		e.At = time.Now()
		m.outbox.Add(e)
		m.p.Wake()
		m.events++
	}
	m.call++
}

// outageWorld is a publisher in a bubble.
type outageWorld struct {
	*team
	stream *fakeStream
	link   *link
	log    *lockedText
	reads  atomic.Int64
}

type lockedText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func newOutageWorld(t *testing.T) *outageWorld {
	t.Helper()
	w := &outageWorld{stream: &fakeStream{}, link: &link{changed: make(chan struct{})}, log: &lockedText{}}
	outbox := &natstest.Outbox{OnRead: func() error { w.reads.Add(1); return nil }}
	registered, err := newMetrics(prometheus.NewRegistry(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	p := &Publisher{
		outbox: outbox, js: jetStream{fakeStream: w.stream}, sender: newSender(&fakeConn{fakeStream: w.stream}), link: w.link, metrics: registered, stream: fakeConfig(),
		largest: func() int64 { return 1 << 20 }, durable: func() error { return nil },
		log: slog.New(slog.NewTextHandler(w.log, nil)), now: time.Now, timing: timing{poll: pollEvery, count: countEvery},
		wake: make(chan struct{}, 1), stopping: make(chan struct{}), done: make(chan struct{}),
		limit: firstRows, acked: map[string]bool{},
	}
	w.team = &team{outbox: outbox, p: p, clients: 3}
	w.link.set(true)
	p.Start()
	return w
}

// published checks that all that was committed is on the stream, in order, and
// that the metrics say so.
func (w *outageWorld) published(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if n := w.outbox.Len(); n != 0 {
		t.Fatalf("%d rows are left", n)
	}
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	if n := inOrder(t, w.stream.messages); n != w.events {
		t.Errorf("%d events on the stream, want %d", n, w.events)
	}
	if rows, age := w.p.metrics.backlog(); rows != 0 || age != 0 {
		t.Errorf("the metrics say that %d rows wait since %v", rows, age)
	}
}

// NATS is away for an hour while 270 people go on calling (calls of three minutes:
// three events a second). Nobody is asked more than once or twice a second meanwhile, the backlog
// and its age can be seen, and when NATS is back it drains without being told.
func TestAnHourWithoutNATS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOutageWorld(t)
		defer halt(t, w.p)
		for range 10 {
			w.step()
			time.Sleep(time.Second) // the fake clock
		}
		time.Sleep(countEvery) // the fake clock
		w.published(t)

		w.stream.set(func(f *fakeStream) { f.away = true })
		w.link.set(false)
		began, events, reads := time.Now(), w.events, w.reads.Load()
		for time.Since(began) < time.Hour {
			w.step()
			time.Sleep(time.Second) // the fake clock
			if time.Since(began)%(10*time.Minute) != 0 {
				continue
			}
			rows, age := w.p.metrics.backlog()
			if want := w.outbox.Len(); rows > want || rows < want-20 {
				t.Errorf("after %v the metrics say that %d rows wait; there are %d", time.Since(began), rows, want)
			}
			if late := time.Since(began) - age; late < 0 || late > time.Second {
				t.Errorf("after %v the oldest is %v old", time.Since(began), age)
			}
		}
		if n := w.events - events; n != 10_800 || w.outbox.Len() != n {
			t.Errorf("%d events were committed, %d rows wait", n, w.outbox.Len())
		}
		if n := testutil.ToFloat64(w.p.metrics.failures); n < 3600 || n > 7300 {
			t.Errorf("%v failed tries in an hour", n)
		}
		if n := w.reads.Load() - reads; n > 2 {
			t.Errorf("the store was read %d times for a stream that is away", n)
		}
		if n := w.log.count("level=WARN"); n != 1 {
			t.Errorf("%d warnings in an hour", n)
		}

		// It comes back, and refuses one of a thousand at first. Nobody commits or
		// wakes anything now.
		w.stream.set(func(f *fakeStream) { f.away, f.refuse = false, 997 })
		w.link.set(true)
		time.Sleep(time.Minute) // the fake clock; most of it waits behind what was refused
		w.published(t)
		if n := w.log.count("published again"); n == 0 {
			t.Error("nobody was told that it is over")
		}
		if err := w.p.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The stream is full, and refuses, for an hour: nothing tells when there is room
// again, so that is found out by trying.
func TestAnHourOfAFullStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOutageWorld(t)
		defer halt(t, w.p)
		w.stream.set(func(f *fakeStream) { f.full = true })
		for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(time.Second) { // the fake clock
			w.step()
		}
		if rows, age := w.p.metrics.backlog(); rows < w.events-20 || age < time.Hour-time.Second {
			t.Errorf("the metrics say that %d rows of %d wait since %v", rows, w.events, age)
		}
		if n := testutil.ToFloat64(w.p.metrics.failures); n < 3600 || n > 7300 {
			t.Errorf("%v failed tries in an hour", n)
		}
		w.stream.mu.Lock()
		tried := w.stream.tried
		w.stream.mu.Unlock()
		if most := 7300 * w.clients; tried > most { // the first of each client, and no more
			t.Errorf("%d messages were sent to a full stream", tried)
		}
		w.stream.set(func(f *fakeStream) { f.full = false })
		time.Sleep(retryMost + countEvery) // the fake clock
		w.published(t)
		if err := w.p.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
