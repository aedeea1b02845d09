package actors

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

const directoryShards = 64

// directory finds the actor of an id and wakes it if there is none.
type directory struct {
	root  *actor.RootContext
	props *actor.Props // one for all actors: they learn who they are in [directory.whoIs]
	// admits reports whether the actor of an id lives here; nil: all do. It is asked
	// with the shard's lock held, so that who changes its answer and then visits all
	// shards finds whatever was let in before.
	admits func(uuid.UUID) bool
	serial atomic.Uint32
	shards [directoryShards]directoryShard
}

type directoryShard struct {
	mu     sync.RWMutex
	places map[uuid.UUID]*place // guarded by mu
}

// place is where an actor lives. It outlives restarts of the actor.
type place struct {
	// process is what the actor's PID stands for. To ask the PID for each message, as a
	// context does that sends, takes two more cells of memory from all over the heap,
	// which among ten thousand actors are in no cache.
	process actor.Process
	// inbox counts the messages sent and not yet handled. It is raised with
	// the shard's lock held for reading, so nobody raises it while the shard
	// is locked for writing: that makes "empty" certain (see vacate).
	inbox atomic.Int32
	// used is set by every message and cleared by the sweep: an actor that is
	// not used between two sweeps is asked to retire.
	used atomic.Bool
	// shows is what the actor can be seen to know; see glance.go. It is written by the
	// goroutine that runs the mailbox, and cleared with the shard's lock held when the
	// actor is taken out.
	shows atomic.Pointer[messages.HeldClaim]
	// writing is the write of the user actor that is under way; nil: none. The goroutine
	// that runs the actor's mailbox sets it, before it hands the place to the journal, and
	// leaves it alone until it is told what became of the write.
	writing *messages.Write
	// leaving says that the actor was told that it is to live elsewhere.
	leaving atomic.Bool
}

func newDirectory(root *actor.RootContext, props *actor.Props, admits func(uuid.UUID) bool) *directory {
	d := &directory{root: root, props: props, admits: admits}
	for i := range d.shards {
		d.shards[i].places = make(map[uuid.UUID]*place)
	}
	return d
}

func (d *directory) shard(id uuid.UUID) *directoryShard {
	return &d.shards[binary.BigEndian.Uint16(id[14:])%directoryShards]
}

// send delivers m to the actor of id, waking it first if need be. It reports whether
// that actor lives here; if not, nothing happens.
func (d *directory) send(id uuid.UUID, m any) bool {
	s := d.shard(id)
	s.mu.RLock()
	if d.admits != nil && !d.admits(id) {
		s.mu.RUnlock()
		return false
	}
	if p := s.places[id]; p != nil {
		d.post(p, m)
		s.mu.RUnlock()
		return true
	}
	s.mu.RUnlock()
	return d.sendWaking(id, m)
}

func (d *directory) sendWaking(id uuid.UUID, m any) bool {
	s := d.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.admits != nil && !d.admits(id) {
		return false
	}
	p := s.places[id]
	if p == nil {
		p = d.wake(id)
		s.places[id] = p
	}
	d.post(p, m)
	return true
}

// wake spawns an actor whose name is its id, and a number that tells it from
// an earlier one that may still be stopping.
func (d *directory) wake(id uuid.UUID) *place {
	var name [len(id) + 4]byte
	copy(name[:], id[:])
	binary.BigEndian.PutUint32(name[len(id):], d.serial.Add(1))
	pid, err := d.root.SpawnNamed(d.props, string(name[:]))
	if err != nil {
		panic(err) // the number has come round within the life of one actor
	}
	process, ok := d.root.ActorSystem().ProcessRegistry.Get(pid)
	if !ok {
		panic("actors: an actor stopped before it had a place") // it waits for that, see whoIs
	}
	return &place{process: process}
}

// whoIs returns which actor it is that lives under a name, and where. An actor
// asks when it starts; the shard is locked until its place is known.
func (d *directory) whoIs(pid *actor.PID) (uuid.UUID, *place) {
	id := uuid.UUID([]byte(pid.Id[:len(uuid.UUID{})]))
	s := d.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return id, s.places[id]
}

// sendIfAwake delivers m to the actor of id if there is one.
func (d *directory) sendIfAwake(id uuid.UUID, m any) {
	s := d.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.places[id]; p != nil {
		d.post(p, m)
	}
}

// reply delivers m to the actor that lives, or lived, at p. An actor that is
// waiting for m does not retire, so only one that failed for good misses it.
func (d *directory) reply(p *place, m any) { d.post(p, m) }

func (d *directory) post(p *place, m any) {
	p.inbox.Add(1)
	if !p.used.Load() {
		p.used.Store(true)
	}
	p.process.SendUserMessage(nil, m) // an actor's process knows its mailbox by itself
}

// vacate takes the actor of id out if nothing is on its way to it besides the
// message that is being handled. It reports whether it did; then the actor must
// stop, and the next message wakes a new one.
func (d *directory) vacate(id uuid.UUID, p *place) bool {
	s := d.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.inbox.Load() != 1 || s.places[id] != p {
		return false
	}
	p.shows.Store(nil)
	delete(s.places, id)
	return true
}

// evict takes the actor of id out because it has stopped.
func (d *directory) evict(id uuid.UUID, p *place) {
	s := d.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	p.shows.Store(nil)
	if s.places[id] == p {
		delete(s.places, id)
	}
}

// retireUnused asks all actors that were not used since the last call to
// retire. Those that have something to remember decline.
func (d *directory) retireUnused() {
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.RLock()
		for _, p := range s.places {
			if p.used.Swap(false) {
				continue
			}
			d.post(p, retire{})
			p.used.Store(false) // being asked is no use
		}
		s.mu.RUnlock()
	}
}

// dismiss tells all actors that do not live here any more to leave, those that were
// told before only if again is set. It returns how many there are.
func (d *directory) dismiss(again bool) int {
	n := 0
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.RLock()
		for id, p := range s.places {
			if d.admits(id) {
				continue
			}
			n++
			if !p.leaving.Swap(true) || again {
				d.post(p, leave{})
			}
		}
		s.mu.RUnlock()
	}
	return n
}

// count returns how many actors are awake.
func (d *directory) count() int {
	n := 0
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.RLock()
		n += len(s.places)
		s.mu.RUnlock()
	}
	return n
}

// leave asks an actor to stop because it is to live elsewhere.
type leave struct{}

// retire asks an actor to stop if it has nothing to remember.
type retire struct{}
