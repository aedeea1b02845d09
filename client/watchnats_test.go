package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// board is a NATS server with dibs behind it, and a reader of its events.
type board struct {
	*testing.T
	dir, address string
	engine       *engine
	bus          *natsapi.Bus
	service      *natsapi.Service
	nc           *nats.Conn
	dibs         *client.Client
}

func newBoard(t *testing.T) *board {
	t.Helper()
	b := &board{T: t, dir: filepath.Join(t.TempDir(), "nats"), address: harness.FreeAddr(t), engine: &engine{}}
	b.nc = connect(t, b.address, nats.RetryOnFailedConnect(true))
	b.start()
	var err error
	if b.dibs, err = client.OverNATS(b.nc); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *board) start() {
	b.Helper()
	b.bus = openBusAt(b.T, b.dir, b.address)
	b.service = serve(b.T, b.bus, b.engine)
	until(b.T, "an answer", func() bool {
		_, err := b.nc.Request("dibs.rpc.status", []byte("{}"), time.Second)
		return err == nil
	})
}

func (b *board) stop() {
	b.Helper()
	stop(b.T, b.service.Stop)
	stop(b.T, b.bus.Close)
	until(b.T, "the loss of the connection", func() bool { return !b.nc.IsConnected() })
}

// publish puts events on the stream, each the start of a call of somebody.
func (b *board) publish(names ...string) {
	b.Helper()
	for _, name := range names {
		b.publishRaw(fmt.Sprintf(`{"specversion":"1.0","type":"call.started","data":{"user":{"last_name":%q}}}`, name))
	}
}

func (b *board) publishRaw(body string) {
	b.Helper()
	js, err := connect(b.T, b.address).JetStream()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.Publish("dibs.events.call.started."+uuid.NewString()+"."+uuid.NewString(), []byte(body)); err != nil {
		b.Fatal(err)
	}
}

// live says which calls are in progress.
func (b *board) live(n ...int) {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	b.engine.live = nil
	for _, n := range n {
		e := natstest.Started(n, 0)
		b.engine.live = append(b.engine.live, messages.LiveCall{Call: e.Call, User: e.User, Client: e.Client})
	}
}

// hush has questions for what is in progress refused; empty: no more.
func (b *board) hush(code messages.Code) {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	b.engine.hush = code
}

// read reads n events, and returns them and the position behind the last. act is
// called with each.
func (b *board) read(n int, act func(string), opts ...client.WatchOption) (lines []string, position string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for e, err := range b.dibs.Watch(ctx, opts...) {
		if err != nil {
			b.Fatal(err)
		}
		lines = append(lines, lineOf(e))
		if e.Position != "" {
			position = e.Position
		}
		if len(lines) == n {
			return lines, position
		}
		if act != nil {
			act(lineOf(e))
		}
	}
	b.Fatalf("only %q came", lines)
	return nil, ""
}

func lineOf(e client.Event) string {
	line := []string{string(e.Type)}
	for _, c := range e.Calls {
		line = append(line, c.User.LastName)
	}
	return strings.TrimSpace(strings.Join(append(line, e.User.LastName, e.Reason), " "))
}

func (b *board) want(got []string, want ...string) {
	b.Helper()
	if !slices.Equal(got, want) {
		b.Errorf("came %q, want %q", got, want)
	}
}

// Over NATS a reader begins with a snapshot, and goes on where it was.
func TestWatchOverNATS(t *testing.T) {
	b := newBoard(t)
	b.live(7, 8)
	b.publish("before anybody watches")
	got, position := b.read(3, func(line string) {
		if strings.HasPrefix(line, "snapshot") {
			b.publish("one", "two")
		}
	})
	b.want(got, "snapshot Ruiz 7 Ruiz 8", "call.started one", "call.started two")
	b.publish("three") // while nobody watches
	got, position = b.read(1, nil, client.After(position))
	b.want(got, "call.started three")

	// A refusal, and what cannot be understood.
	b.publishRaw("nonsense")
	b.publishRaw(`{"specversion":"1.0","type":"call.refused","data":{"refusal":{"code":"client_being_called","call_ref":"leg-9","caller":{"name":"Ana"}}}}`)
	for e, err := range b.dibs.Watch(t.Context(), client.After(position)) {
		if err != nil || e.Type != client.CallRefused || e.Refusal.CallRef != "leg-9" || e.Refusal.Code != client.CodeClientBeingCalled || e.Refusal.Caller.Name != "Ana" {
			t.Errorf("%+v, %v", e, err)
		}
		break
	}
	// A connection that was closed is not waited for.
	b.nc.Close()
	for _, err := range b.dibs.Watch(t.Context()) {
		if errors.Is(err, nats.ErrConnectionClosed) {
			return
		}
	}
	t.Error("watching over a closed connection ends in silence")
}

// What is published really is what is read.
func TestWatchWhatIsPublished(t *testing.T) {
	b := newBoard(t)
	outbox := &natstest.Outbox{}
	publisher, err := b.bus.NewPublisher(outbox)
	if err != nil {
		t.Fatal(err)
	}
	publisher.Start()
	t.Cleanup(func() { stop(t, publisher.Stop) })
	got, _ := b.read(3, func(line string) {
		if line == "snapshot" {
			outbox.Add(natstest.Started(2, 0), natstest.Ended(2, 0))
			publisher.Wake()
		}
	})
	b.want(got, "snapshot", "call.started Ruiz 2", "call.ended Ruiz 2 completed")
}

// Nobody goes on in silence behind a position that the stream does not have any
// more, however that came about: a snapshot says what is true now.
func TestResumeThatCannotBeExact(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b *board) // what happens while nobody watches
		exact  bool           // nothing was missed
	}{
		{"nothing", func(*board) {}, true},
		{"a restart", func(b *board) { b.stop(); b.start() }, true},
		{"events beyond the retention", func(b *board) { b.purge(); b.publish("lost"); b.purge() }, false},
		{"all events purged", func(b *board) { b.purge() }, false},
		{"another stream of the same length", func(b *board) { b.recreate(); b.publish("x", "y", "z") }, false},
		{"a new stream, empty", func(b *board) { b.recreate() }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard(t)
			b.publish("zero")
			_, position := b.read(3, func(line string) {
				if line == "snapshot" {
					b.publish("one", "two")
				}
			})
			tt.change(b)
			b.live(5)
			want, n := []string{"call.started three"}, 1
			if !tt.exact {
				want, n = []string{"snapshot Ruiz 5", "call.started three"}, 2
			} else {
				b.publish("three")
			}
			got, again := b.read(n, func(line string) {
				if strings.HasPrefix(line, "snapshot") {
					b.publish("three")
				}
			}, client.After(position))
			b.want(got, want...)
			b.publish("four") // and from there it goes on without another one
			got, _ = b.read(1, nil, client.After(again))
			b.want(got, "call.started four")
		})
	}
}

func (b *board) purge() {
	b.Helper()
	js, err := b.nc.JetStream()
	if err != nil {
		b.Fatal(err)
	}
	if err := js.PurgeStream("DIBS_EVENTS"); err != nil {
		b.Fatal(err)
	}
}

// recreate has the stream made anew.
func (b *board) recreate() {
	b.Helper()
	js, err := b.nc.JetStream()
	if err != nil {
		b.Fatal(err)
	}
	info, err := js.StreamInfo("DIBS_EVENTS")
	if err != nil {
		b.Fatal(err)
	}
	if err := js.DeleteStream("DIBS_EVENTS"); err != nil {
		b.Fatal(err)
	}
	// The server removes the old one's files after it has answered.
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := js.AddStream(&info.Config)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
		runtime.Gosched()
	}
}

// A server that lost power may have lost the end of the stream, and given its
// numbers to other events.
func TestResumeBehindALostEnd(t *testing.T) {
	b := newBoard(t)
	b.publish("zero")
	b.stop()
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.CopyFS(kept, os.DirFS(b.dir)); err != nil {
		t.Fatal(err)
	}
	b.start()
	_, position := b.read(2, func(line string) {
		if line == "snapshot" {
			b.publish("one")
		}
	})
	b.stop()
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(b.dir, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.publish("another one", "two")
	b.live(5)
	got, _ := b.read(1, nil, client.After(position))
	b.want(got[len(got)-1:], "snapshot Ruiz 5")
}

// Events that go missing while somebody watches.
func TestGapWhileWatching(t *testing.T) {
	b := newBoard(t)
	js, err := b.nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := b.read(3, func(line string) {
		switch line {
		case "snapshot":
			b.live(5)
			// Deleted before it is read: what was asked for so far was not more
			// than the library holds.
			info, err := js.StreamInfo("DIBS_EVENTS")
			if err != nil {
				t.Fatal(err)
			}
			b.publish("one", "two")
			if err := js.DeleteMsg("DIBS_EVENTS", info.State.LastSeq+1); err != nil {
				t.Fatal(err)
			}
		case "snapshot Ruiz 5":
			b.publish("three")
		}
	})
	b.want(got, "snapshot", "snapshot Ruiz 5", "call.started three")
}

// Who may not have snapshots is told that there is no telling.
func TestWatchWithoutSnapshots(t *testing.T) {
	b := newBoard(t)
	b.hush(messages.CodeNotFound)
	got, _ := b.read(2, func(string) { b.publish("one") })
	b.want(got, "missed", "call.started one")
}

// While nobody can say what is true, the reader is told that, and nothing is
// made up.
func TestSnapshotsThatComeLate(t *testing.T) {
	b := newBoard(t)
	b.hush(messages.CodeUnavailable)
	b.live(5)
	got, _ := b.read(3, func(line string) {
		if line == "stale" {
			b.hush("")
		}
	})
	b.want(got, "stale", "snapshot Ruiz 5", "stale")

	stop(t, b.service.Stop) // nobody answers at all
	got, _ = b.read(2, func(line string) {
		if line == "stale" {
			b.service = serve(t, openBusOf(t, natsapi.Config{URL: b.address}), b.engine) // another node
		}
	})
	b.want(got, "stale", "snapshot Ruiz 5")
}

// A snapshot of more calls than one message holds.
func TestLargeSnapshot(t *testing.T) {
	b := newBoard(t)
	var all []int
	for n := range 3000 {
		all = append(all, n)
	}
	b.live(all...)
	for i := range b.engine.live {
		b.engine.live[i].Call.ClientID.UUID = uuid.New()
	}
	for e, err := range b.dibs.Watch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, c := range e.Calls {
			seen[c.Call.ID] = true
		}
		if e.Type != client.Snapshot || len(e.Calls) != len(all) || len(seen) != len(all) {
			t.Errorf("%s of %d calls", e.Type, len(e.Calls))
		}
		if body, err := json.Marshal(e.Calls); err != nil || len(body) < int(b.nc.MaxPayload()) {
			t.Errorf("this fits into a message: %d bytes, %v", len(body), err)
		}
		break
	}
}

// A connection that is lost in the middle of watching: the reader is told, and
// misses nothing. It may stop at any event, that one included.
func TestWatchOverALostConnection(t *testing.T) {
	b := newBoard(t)
	b.publish("zero")
	stales := 0
	got, _ := b.read(5, func(line string) {
		switch line {
		case "snapshot":
			b.publish("one")
		case "call.started one":
			b.stop()
		case "stale":
			if stales++; stales == 1 {
				b.start()
				b.publish("two") // before it watches again
			}
		}
	})
	b.want(got, "snapshot", "call.started one", "stale", "stale", "call.started two")

	// Nothing was read since it began: it goes on from there as well.
	stales = 0
	got, _ = b.read(3, func(line string) {
		switch line {
		case "snapshot":
			b.stop()
		case "stale":
			if stales++; stales == 1 {
				b.start()
			}
		}
	})
	b.want(got, "snapshot", "stale", "stale") // though nothing comes behind it
}
