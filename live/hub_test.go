package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// toggle starts or ends the call of user n with client n.
func toggle(truth *store, n int) []messages.Event {
	if e := truth.start(n, n); e != nil {
		return e
	}
	return truth.end(n)
}

func TestSnapshotThenChanges(t *testing.T) {
	truth := newStore(10)
	m := newModel(t, truth)
	truth.start(3, 3)
	run(t, m)
	r := listen(t, m, "")
	waitFor(t, func() bool { return r.knows() == truth.shows() })
	for n := range 10 {
		m.Committed(toggle(truth, n))
	}
	waitFor(t, func() bool { return r.knows() == truth.shows() })
	waitFor(t, func() (ok bool) { r.look(func(r *reader) { ok = !r.stale }); return ok })
	r.look(func(r *reader) {
		if r.snapshots != 1 || r.names[0] != frameSnapshot || len(r.seen) != 10 || r.retries != 1 {
			t.Errorf("%d snapshots, %d events, frames %v", r.snapshots, len(r.seen), r.names)
		}
	})
}

// A reader that comes and goes gets every change once, as long as the ring has
// what it missed, and else a snapshot.
func TestResume(t *testing.T) {
	truth := newStore(10)
	m := newModel(t, truth, func(c *Config) { c.RingBytes, c.WakeEvery = 40<<10, 100*time.Microsecond })
	run(t, m)
	steady := listen(t, m, "")
	r := listen(t, m, "")
	waitFor(t, func() (ok bool) { r.look(func(r *reader) { ok = r.snapshots == 1 }); return ok })
	for round := range 60 { // several times round the ring
		r.stop()
		for n := range 1 + round%19 {
			m.Committed(toggle(truth, n%10))
		}
		r = r.resume(m)
		last := fmt.Sprintf("%s:%d", m.epoch, m.hub.position())
		for _, r := range []*reader{r, steady} {
			waitFor(t, func() (ok bool) { r.look(func(r *reader) { ok = r.lastID == last && r.retries == 1 }); return ok })
		}
		if r.knows() != truth.shows() || r.snapshots != 0 {
			t.Errorf("round %d: %d snapshots, knows %q", round, r.snapshots, r.knows())
		}
	}
	if len(m.hub.ring) == 0 || m.hub.floor == 0 {
		t.Error("the ring has not gone round")
	}
	r.stop()
	for n := range 200 { // more than the ring holds
		m.Committed(toggle(truth, n%10))
		waitFor(t, func() bool { return steady.knows() == truth.shows() })
	}
	r = r.resume(m)
	waitFor(t, func() (ok bool) { r.look(func(r *reader) { ok = r.snapshots == 1 }); return ok })
	if got, want := r.knows(), truth.shows(); got != want {
		t.Errorf("knows %q, want %q", got, want)
	}
	steady.look(func(r *reader) {
		if r.snapshots != 1 {
			t.Errorf("the steady reader had %d snapshots", r.snapshots)
		}
	})
}

func TestForgedLastEventID(t *testing.T) {
	truth := newStore(3)
	m := newModel(t, truth)
	run(t, m)
	m.Committed(truth.start(0, 0))
	good := fmt.Sprintf("%s:%d", m.epoch, m.hub.position())
	for _, id := range []string{"", ":", m.epoch, m.epoch + ":", m.epoch + ":-1", m.epoch + ":+1", m.epoch + ": 1",
		m.epoch + ":999999", m.epoch + ":18446744073709551615", m.epoch + ":18446744073709551616",
		m.epoch + ":1e3", m.epoch + ":0x1", "other:1", good + "\n", good + ":1", strings.Repeat("9", 1000), "\x00", "é:1"} {
		r := listen(t, m, id)
		waitFor(t, func() bool { return r.knows() == truth.shows() })
		r.look(func(r *reader) {
			if r.snapshots != 1 {
				t.Errorf("%q: %d snapshots", id, r.snapshots)
			}
		})
		r.stop()
	}
	r := listen(t, m, good)
	m.Committed(truth.start(1, 1))
	waitFor(t, func() (ok bool) { r.look(func(r *reader) { ok = len(r.seen) == 1 }); return ok })
	r.look(func(r *reader) {
		if r.snapshots != 0 {
			t.Error("a good id did not resume")
		}
	})
}

// A reader that stands still is cut off when the ring has gone past it; nobody
// else notices.
func TestSlowReader(t *testing.T) {
	truth := newStore(10)
	m := newModel(t, truth, func(c *Config) { c.RingBytes, c.WakeEvery = 16<<10, 100*time.Microsecond })
	run(t, m)
	quick := listen(t, m, "")
	release := make(chan struct{})
	chunks := 0
	slow := listenWith(t, m, "", func() {
		if chunks++; chunks > 2 { // retry and snapshot go through
			<-release
		}
	})
	waitFor(t, func() (ok bool) { slow.look(func(r *reader) { ok = r.snapshots == 1 }); return ok })
	for n := range 300 {
		m.Committed(toggle(truth, n%10))
		waitFor(t, func() bool { return quick.knows() == truth.shows() })
	}
	close(release)
	<-slow.done
	if !errors.Is(slow.err, ErrTooSlow) {
		t.Errorf("ended with %v", slow.err)
	}
	if n := testutil.ToFloat64(m.metrics.cut); n != 1 {
		t.Errorf("%v readers cut", n)
	}
	m.hub.mu.RLock()
	defer m.hub.mu.RUnlock()
	if m.hub.bytes > 16<<10 {
		t.Errorf("%d bytes are kept", m.hub.bytes)
	}
}

// Slow readers hold on to a few different snapshots, however many of them come,
// and know all in the end.
func TestSlowReadersShareSnapshots(t *testing.T) {
	const readers = 3 * mostSnapshots
	truth := newStore(10)
	var now atomic.Int64
	m := newModel(t, truth, func(c *Config) {
		c.Now = func() time.Time { return truth.clock().Add(time.Duration(now.Load())) }
	})
	run(t, m)
	release := make(chan struct{})
	all := make([]*reader, 0, readers)
	for i := range readers {
		chunks := 0
		all = append(all, listenWith(t, m, "", func() {
			if chunks++; chunks == 2 { // the snapshot
				<-release
			}
		}))
		waitFor(t, func() bool { return testutil.ToFloat64(m.metrics.snapshots) == float64(i+1) })
		m.Committed(toggle(truth, i%10))
		now.Add(int64(2 * snapshotAge))
	}
	held := func() int {
		m.snapshots.mu.Lock()
		defer m.snapshots.mu.Unlock()
		return m.snapshots.sent
	}
	if n := held(); n != mostSnapshots {
		t.Errorf("%d different snapshots are on their way, want %d", n, mostSnapshots)
	}
	close(release)
	for i, r := range all {
		waitFor(t, func() bool { return r.knows() == truth.shows() })
		r.look(func(r *reader) {
			if r.snapshots != 1 {
				t.Errorf("reader %d had %d snapshots", i, r.snapshots)
			}
		})
	}
	waitFor(t, func() bool { return held() == 0 })
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, newStore(1))
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		var mu sync.Mutex
		var got strings.Builder
		streamed := make(chan error, 1)
		go func() {
			streamed <- m.Stream(ctx, "", func(frames []byte) error {
				mu.Lock()
				defer mu.Unlock()
				got.Write(frames)
				return nil
			})
		}()
		for beats := range 5 {
			synctest.Wait()
			mu.Lock()
			text := got.String()
			mu.Unlock()
			if n := strings.Count(text, ": ping\nid: "); n != beats || strings.Count(text, "\nevent: ping\ndata: {}\n\n") != beats {
				t.Errorf("%d heartbeats after %d times 15 s: %q", n, beats, text)
			}
			time.Sleep(15 * time.Second) // the fake clock
		}
		cancel()
		if err := <-streamed; err == nil {
			t.Error("the stream ended without a reason")
		}
		synctest.Wait()
	})
}

// The heartbeat is not lost among events.
func TestHeartbeatUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(10)
		m := newModel(t, truth)
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		r := listen(t, m, "")
		for n := range 3100 { // 31 s
			m.Committed(toggle(truth, n%10))
			time.Sleep(10 * time.Millisecond) // the fake clock
		}
		synctest.Wait()
		r.look(func(r *reader) {
			if n := strings.Count(strings.Join(r.names, " "), framePing); n != 2 {
				t.Errorf("%d heartbeats in 31 s", n)
			}
		})
		cancel()
		<-r.done
		synctest.Wait()
	})
}

// Under load readers are woken at most once in WakeEvery; after a pause, at
// once.
func TestWakesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(10)
		m := newModel(t, truth)
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		var mu sync.Mutex
		chunks := 0
		r := listenWith(t, m, "", func() { mu.Lock(); chunks++; mu.Unlock() })
		count := func() int { synctest.Wait(); mu.Lock(); defer mu.Unlock(); return chunks }
		time.Sleep(time.Second) // the fake clock
		before := count()
		m.Committed(toggle(truth, 0))
		if n := count() - before; n != 1 {
			t.Errorf("%d chunks at once after a pause", n)
		}
		before = count()
		for n := range 400 { // for a second
			m.Committed(toggle(truth, n%10))
			time.Sleep(2500 * time.Microsecond) // the fake clock
		}
		if n := count() - before; n > int(time.Second/m.cfg.WakeEvery)+groups || n < 30 {
			t.Errorf("%d wakes in a second", n)
		}
		time.Sleep(m.cfg.WakeEvery) // the fake clock
		synctest.Wait()
		if got, want := r.knows(), truth.shows(); got != want {
			t.Errorf("knows %q, want %q", got, want)
		}
		cancel()
		<-r.done
		synctest.Wait()
	})
}

// A reset reaches every group, at whatever moment of the pump's turns it comes.
func TestResetReachesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(10)
		m := newModel(t, truth)
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		readers := make([]*reader, 2*groups)
		for i := range readers {
			readers[i] = listen(t, m, "")
		}
		want := 1
		for after := time.Duration(0); after < 3*m.cfg.WakeEvery; after += time.Millisecond {
			time.Sleep(time.Second) // the fake clock
			m.Committed(toggle(truth, 1))
			time.Sleep(after) // the fake clock
			m.mu.Lock()
			m.hub.reset()
			m.mu.Unlock()
			want++
			time.Sleep(time.Second) // the fake clock
			synctest.Wait()
			for i, r := range readers {
				r.look(func(r *reader) {
					if r.snapshots != want {
						t.Errorf("%s after an event: reader %d has %d snapshots, want %d", after, i, r.snapshots, want)
					}
				})
			}
			if t.Failed() {
				break
			}
		}
		cancel()
		for _, r := range readers {
			<-r.done
		}
		synctest.Wait()
	})
}

// With nobody there nothing is encoded or kept, except for a minute for those
// who may come back.
func TestNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(10)
		m := newModel(t, truth)
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		kept := func() int {
			synctest.Wait()
			m.hub.mu.RLock()
			defer m.hub.mu.RUnlock()
			return m.hub.bytes + len(m.hub.queue)
		}
		change := func() { m.Committed(toggle(truth, 1)); time.Sleep(time.Second) } // the fake clock
		change()
		if n := kept(); n > 0 {
			t.Errorf("%d bytes are kept for nobody", n)
		}
		r := listen(t, m, "")
		synctest.Wait()
		r.stop()
		change()
		if kept() == 0 {
			t.Error("nothing is kept for who left a moment ago")
		}
		r = r.resume(m)
		synctest.Wait()
		r.look(func(r *reader) {
			if r.snapshots != 0 || len(r.seen) != 1 {
				t.Errorf("%d snapshots, %d events", r.snapshots, len(r.seen))
			}
		})
		r.stop()
		time.Sleep(2 * keepFor) // the fake clock
		change()
		if n := kept(); n > 0 {
			t.Errorf("%d bytes are kept", n)
		}
		r = r.resume(m)
		synctest.Wait()
		r.look(func(r *reader) {
			if r.snapshots != 1 || show(valuesOf(r.calls)) != truth.shows() {
				t.Errorf("%d snapshots, knows %v", r.snapshots, r.calls)
			}
		})
		cancel()
		<-r.done
		synctest.Wait()
	})
}

func valuesOf(calls map[messages.CallID]messages.LiveCall) (all []messages.LiveCall) {
	for _, c := range calls {
		all = append(all, c)
	}
	return all
}

func TestManyReaders(t *testing.T) {
	readers := 1000
	if testing.Short() {
		readers = 100
	}
	truth := newStore(50)
	m := newModel(t, truth)
	stop := run(t, m)
	all := make([]*reader, readers)
	for i := range all {
		all[i] = listen(t, m, "")
		if i%10 == 0 {
			m.Committed(toggle(truth, i/10%50))
		}
	}
	for n := range 200 {
		m.Committed(toggle(truth, n%50))
	}
	for i := range all { // some leave and come back
		if i%7 == 0 {
			all[i] = all[i].resume(m)
		}
	}
	for n := range 100 {
		m.Committed(toggle(truth, n%50))
	}
	want := truth.shows()
	for i, r := range all {
		waitFor(t, func() bool { return r.knows() == want })
		r.look(func(r *reader) {
			if r.snapshots > 1 {
				t.Errorf("reader %d had %d snapshots", i, r.snapshots)
			}
		})
	}
	waitFor(t, func() bool { return m.hub.readerCount() == readers }) // some knew it before they were back
	if n := testutil.ToFloat64(m.metrics.cut); n != 0 {
		t.Errorf("%v readers were cut off", n)
	}
	stop()
	for _, r := range all {
		<-r.done
		if !errors.Is(r.err, ErrClosed) {
			t.Errorf("ended with %v", r.err)
		}
	}
}
