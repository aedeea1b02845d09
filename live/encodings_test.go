package live

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// counted is data of a frame that counts how often it is encoded.
type counted struct {
	event messages.Event
	times *atomic.Int64
}

// MarshalJSON implements [json.Marshaler].
func (c counted) MarshalJSON() ([]byte, error) {
	c.times.Add(1)
	return json.Marshal(c.event)
}

// An event is encoded once, however many read it, at whatever moment they come,
// and whether they keep up or resume later.
func TestOneEncodingForAllReaders(t *testing.T) {
	const readers, events = 100, 400
	truth := newStore(10)
	m := newModel(t, truth)
	run(t, m)
	var all []*reader
	for range readers {
		all = append(all, listen(t, m, ""))
	}
	waitFor(t, func() bool { return m.hub.readerCount() == readers })
	for _, r := range all {
		waitFor(t, func() bool { return r.snapshotsRead() == 1 })
	}
	var encodings atomic.Int64
	for n := range events {
		e := toggle(truth, n%10)[0]
		m.hub.add(frame{name: string(e.Type), data: counted{e, &encodings}})
		if n == events/2 {
			for i := range readers / 10 {
				all[i] = all[i].resume(m)
			}
		}
	}
	for i, r := range all {
		waitFor(t, func() (ok bool) { r.look(func(r *reader) { ok = len(r.seen) == events }); return ok })
		if got, want := r.knows(), truth.shows(); got != want {
			t.Errorf("reader %d knows %q, want %q", i, got, want)
		}
	}
	if n := encodings.Load(); n != events {
		t.Errorf("%d events were encoded %d times for %d readers", events, n, readers)
	}
}

// What the readers of committed events are given is the same memory for all.
func TestReadersShareTheBytes(t *testing.T) {
	const readers, events = 50, 200
	truth := newStore(10)
	m := newModel(t, truth)
	run(t, m)
	var (
		mu    sync.Mutex
		where = map[string]map[*byte]int{} // by the id of a frame: its addresses, and how many got it there
		ended sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(t.Context())
	defer ended.Wait()
	defer cancel()
	for range readers {
		ended.Go(func() {
			_ = m.Stream(ctx, "", func(frames []byte) error {
				mu.Lock()
				defer mu.Unlock()
				for rest := frames; len(rest) > 0; {
					frame, after, _ := bytes.Cut(rest, []byte("\n\n"))
					if id, _, isEvent := bytes.Cut(frame, []byte("\nevent: call.")); isEvent {
						if where[string(id)] == nil {
							where[string(id)] = map[*byte]int{}
						}
						where[string(id)][&frame[0]]++
					}
					rest = after
				}
				return nil
			})
		})
	}
	waitFor(t, func() bool { return m.hub.readerCount() == readers })
	for n := range events {
		m.Committed(toggle(truth, n%10))
	}
	waitFor(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		got := 0
		for _, addresses := range where {
			for _, n := range addresses {
				got += n
			}
		}
		return got >= readers*(events-10) // the first may be in the snapshot of some
	})
	mu.Lock()
	defer mu.Unlock()
	for id, addresses := range where {
		if len(addresses) != 1 {
			t.Errorf("%s was sent from %d places", id, len(addresses))
		}
	}
}
