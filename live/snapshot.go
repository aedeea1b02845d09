package live

import (
	"math"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// snapshotAge is how old a snapshot may be that a reader begins with; what
// happened since follows it at once.
const snapshotAge = time.Second

// mostSnapshots is how many different snapshots may be on their way: a slow
// reader holds on to megabytes for minutes. When there are so many, who comes is
// given the newest, however old, as long as what followed it is kept.
const mostSnapshots = 16

// snapshot is the first frame of a reader.
type snapshot struct {
	seq     uint64 // of the last frame whose change it contains
	at      time.Time
	frame   []byte
	readers int // who are being sent it; guarded by snapshots.mu
}

// snapshots keeps the newest snapshot for all who come.
type snapshots struct {
	mu   sync.Mutex
	kept *snapshot // nil: none yet
	sent int       // different ones that are being sent
}

// get returns a snapshot that a reader can go on from, until it is given back.
// Many who come together share one.
func (s *snapshots) get(m *Model) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, age := m.cfg.Now(), snapshotAge
	if s.sent >= mostSnapshots {
		age = math.MaxInt64
	}
	if s.kept == nil || !m.hub.fresh(s.kept, now, age) {
		s.kept = m.takeSnapshot(now)
	}
	if s.kept.readers++; s.kept.readers == 1 {
		s.sent++
	}
	return s.kept
}

// giveBack says that one reader has been sent it, or is gone.
func (s *snapshots) giveBack(x *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.readers--; x.readers == 0 {
		s.sent--
	}
}

// fresh reports whether a reader can begin with s.
func (h *hub) fresh(s *snapshot, now time.Time, age time.Duration) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return s.seq == h.last || h.canGoOn(s.seq) && now.Sub(s.at) < age
}

func (m *Model) takeSnapshot(now time.Time) *snapshot {
	m.mu.Lock()
	data := messages.Snapshot{Calls: m.state.calls(), Stale: m.stale}
	seq := m.hub.position()
	m.mu.Unlock()
	return &snapshot{seq: seq, at: now, frame: appendFrame(nil, m.epoch, &frame{seq: seq, name: frameSnapshot, data: data})}
}
