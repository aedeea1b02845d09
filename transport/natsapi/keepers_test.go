package natsapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/internal/testport"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// servers starts servers that are one cluster, inside nodes of their own. A stream is on one
// of two, or on each of three.
func servers(t *testing.T, n int) []*Bus {
	t.Helper()
	var peers []string
	for range n {
		addr, err := testport.TCP()
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, addr)
	}
	var all []*Bus
	for i := range n {
		cfg := inProcess(t, t.TempDir())
		cfg.Embedded.Routes = RoutesConfig{Name: fmt.Sprint("node-", i), Listen: peers[i], Peers: peers}
		if n > 2 {
			cfg.Stream.Replicas = n
		}
		all = append(all, open(t, cfg))
	}
	waitFor(t, soon, "the stream can be made", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), ackWithin)
		defer cancel()
		return ensureStream(ctx, all[0].js, all[0].cfg.Stream, all[0].cfg.Log) == nil
	})
	return all
}

// leaderOf returns the server that keeps the stream, or leads those that do, and another one.
func leaderOf(t *testing.T, all []*Bus) (leader, other *Bus) {
	t.Helper()
	var name string
	waitFor(t, soon, "the stream has a leader", func() bool {
		stream, err := all[0].js.Stream(t.Context(), StreamName)
		if err == nil && stream.CachedInfo().Cluster != nil {
			name = stream.CachedInfo().Cluster.Leader
		}
		return name != ""
	})
	for _, b := range all {
		if b.cfg.Embedded.Routes.Name == name {
			leader = b
		} else {
			other = b
		}
	}
	return leader, other
}

// disk replaces what a node does when its server's files are to be written. What was there
// before lived another life.
func disk(t *testing.T, b *Bus, flush func() error) *keeper {
	t.Helper()
	b.keeper.close(t.Context())
	k, err := startKeeper(b.link.nc, b.cfg.Embedded.Routes.Name, flush)
	if err != nil {
		t.Fatal(err)
	}
	b.keeper = k
	if err := b.link.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return k
}

// An event that a server of another node acknowledged is in that one's memory, and on no
// disk: the outbox keeps it until it is on that machine's.
func TestEventIsKeptUntilItIsOnTheDiskThatItIsOn(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3} {
		if n > 2 && testing.Short() {
			continue // they take seconds to agree on a leader, twice
		}
		t.Run(fmt.Sprint(n, " servers"), func(t *testing.T) {
			all := servers(t, n)
			leader, other := leaderOf(t, all)
			var broken, flushes atomic.Int32
			broken.Store(1)
			disk(t, leader, func() error {
				flushes.Add(1)
				if broken.Load() == 1 {
					return errors.New("the disk is slow")
				}
				return leader.embedded.Sync()
			})
			outbox := &natstest.Outbox{}
			p := publishing(t, other, outbox)
			events := calls(outbox, 3, 1)
			waitFor(t, soon, "the disk is written to twice", func() bool { return flushes.Load() > 1 })
			if outbox.Len() == 0 {
				t.Error("the outbox has forgotten what is on no disk")
			}
			broken.Store(0)
			empty(t, outbox)
			if n := inOrder(t, stored(t, leader)); n != events {
				t.Errorf("%d events, want %d", n, events)
			}
			halt(t, p)
		})
	}
}

// A server that started anew after it acknowledged an event may have lost it with the power
// of its machine. That it has flushed its files since says nothing.
func TestFlushOfAnotherLifeIsWorthNothing(t *testing.T) {
	t.Parallel()
	all := servers(t, 2)
	leader, other := leaderOf(t, all)
	asked := other.keepers(StreamName)
	before, err := asked.before(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := before.flush(t.Context()); err != nil {
		t.Fatalf("nothing has happened: %v", err)
	}
	var flushed atomic.Bool
	disk(t, leader, func() error { flushed.Store(true); return nil })
	if err := before.flush(t.Context()); err == nil || flushed.Load() {
		t.Errorf("flushed: %v, %v", flushed.Load(), err)
	}
	after, err := asked.before(t.Context()) // it is not gone by what was known
	if err != nil {
		t.Fatal(err)
	}
	if err := after.flush(t.Context()); err != nil || !flushed.Load() || after.same(before) {
		t.Errorf("in the next life, flushed: %v, %v", flushed.Load(), err)
	}
}

// A machine loses its power, and the event that it had acknowledged, before it was written to
// the disk. It is sent again then, and not only flushed again.
func TestEventThatWasLostBeforeItWasFlushedIsSentAgain(t *testing.T) {
	t.Parallel()
	all := servers(t, 2)
	leader, other := leaderOf(t, all)
	var once sync.Once
	flushing, lost := make(chan struct{}), make(chan struct{})
	disk(t, leader, func() (err error) {
		once.Do(func() {
			close(flushing)
			<-lost
			err = errors.New("the power is lost")
		})
		return err
	})
	outbox := &natstest.Outbox{}
	p := publishing(t, other, outbox)
	outbox.Add(natstest.Started(0, 0))
	waitFor(t, soon, "it is acknowledged, and to be flushed", func() bool {
		select {
		case <-flushing:
			return true
		default:
			return false
		}
	})
	if err := all[0].js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	close(lost)
	empty(t, outbox)
	if n := inOrder(t, stored(t, other)); n != 1 {
		t.Errorf("%d events, want the one that was lost", n)
	}
	halt(t, p)
}

// One of three that cannot be reached holds up nobody; two do.
func TestServerThatIsAwayHoldsUpNobody(t *testing.T) {
	t.Parallel()
	all := servers(t, 3)
	leader, _ := leaderOf(t, all)
	outbox := &natstest.Outbox{}
	p := publishing(t, leader, outbox)
	calls(outbox, 1, 1)
	empty(t, outbox)
	var others []*Bus
	for _, b := range all {
		if b != leader {
			others = append(others, b)
		}
	}
	others[0].keeper.close(t.Context())
	outbox.Add(natstest.Started(7, 0))
	empty(t, outbox)
	others[1].keeper.close(t.Context())
	outbox.Add(natstest.Started(8, 0))
	failed := failing(p)
	waitFor(t, soon, "publishing fails", failed)
	if outbox.Len() != 1 {
		t.Error("the outbox has forgotten what is on one disk of three")
	}
	for _, b := range others {
		disk(t, b, b.embedded.Sync)
	}
	empty(t, outbox)
}

// With one of three left out, an acknowledgement may be for the leader and that one. So the
// third is not asked to flush before it has what was acknowledged.
func TestWhoIsBehindFlushesLater(t *testing.T) {
	t.Parallel()
	all := servers(t, 3)
	leader, away := leaderOf(t, all)
	away.keeper.close(t.Context())
	var flushes, looks atomic.Int32
	for _, b := range all {
		if b != away {
			disk(t, b, func() error { flushes.Add(1); return nil })
		}
	}
	asked := leader.keepers(StreamName)
	var kept *kept
	waitFor(t, soon, "most of those that keep the stream are known", func() (ok bool) {
		var err error
		kept, err = asked.before(t.Context())
		return err == nil
	})
	asked.seen = func(cluster *jetstream.ClusterInfo) {
		if looks.Add(1) > 3 {
			return
		}
		if n := flushes.Load(); n != 0 {
			t.Errorf("%d have flushed what one of them may not have", n)
		}
		for _, r := range cluster.Replicas {
			r.Current, r.Lag = false, 1
		}
	}
	if err := kept.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, m := flushes.Load(), looks.Load(); n != 2 || m < 4 {
		t.Errorf("%d flushed after %d looks, want 2 after 4 or more", n, m)
	}
	// Another leader does not know what this one has acknowledged.
	asked.seen = func(cluster *jetstream.ClusterInfo) {
		later := cluster.LeaderSince.Add(1)
		cluster.LeaderSince = &later
	}
	if err := kept.flush(t.Context()); err == nil || flushes.Load() != 2 {
		t.Errorf("%d flushed under another leader: %v", flushes.Load(), err)
	}
}

// A server whose disk is slow can be reached, and a node that stops does not wait for a disk
// that hangs.
func TestSlowDiskIsFoundAtOnceAndHoldsUpNoEnd(t *testing.T) {
	t.Parallel()
	all := servers(t, 2)
	leader, other := leaderOf(t, all)
	flushing, slow := make(chan struct{}), make(chan struct{})
	k := disk(t, leader, func() error { close(flushing); <-slow; return nil })
	before, err := other.keepers(StreamName).before(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	flushed := make(chan error)
	go func() { flushed <- before.flush(t.Context()) }()
	<-flushing
	if _, err := other.keepers(StreamName).before(t.Context()); err != nil {
		t.Errorf("while the disk is written to: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	k.close(ended)
	select {
	case <-k.done:
		t.Error("the flush was waited for")
	default:
	}
	close(slow)
	if err := <-flushed; err != nil {
		t.Errorf("what was asked before is answered: %v", err)
	}
	k.close(t.Context())
}

// Who has nothing to send needs nobody who keeps it: the last nodes of a cluster that is
// stopped find nobody.
func TestIdlePublisherNeedsNobody(t *testing.T) {
	t.Parallel()
	all := servers(t, 2)
	leader, other := leaderOf(t, all)
	leader.keeper.close(t.Context())
	var reads atomic.Int32
	outbox := &natstest.Outbox{OnRead: func() error { reads.Add(1); return nil }}
	p := publishing(t, other, outbox)
	waitFor(t, soon, "the outbox is read", func() bool { return reads.Load() > 3 })
	if n := testutil.ToFloat64(p.metrics.failures); n != 0 {
		t.Errorf("%v failures of a publisher that has nothing to publish", n)
	}
	failed := failing(p)
	outbox.Add(natstest.Started(0, 0))
	waitFor(t, soon, "publishing fails", failed)
	disk(t, leader, leader.embedded.Sync)
	empty(t, outbox)
}
