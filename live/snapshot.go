package live

import (
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// snapshotAge is how old a snapshot may be that a reader begins with; what
// happened since follows it at once.
const snapshotAge = time.Second

// snapshot is the first frame of a reader.
type snapshot struct {
	seq   uint64 // of the last frame whose change it contains
	at    time.Time
	frame []byte
}

// snapshots keeps the newest snapshot for all who come.
type snapshots struct {
	mu   sync.Mutex
	kept *snapshot // nil: none yet
}

// get returns a snapshot that a reader can go on from. Many who come together
// share one.
func (s *snapshots) get(m *Model) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := m.cfg.Now(); s.kept == nil || !m.hub.fresh(s.kept, now) {
		s.kept = m.takeSnapshot(now)
	}
	return s.kept
}

// fresh reports whether a reader can begin with s.
func (h *hub) fresh(s *snapshot, now time.Time) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return s.seq == h.last || h.canGoOn(s.seq) && now.Sub(s.at) < snapshotAge
}

func (m *Model) takeSnapshot(now time.Time) *snapshot {
	m.mu.Lock()
	data := messages.Snapshot{Calls: m.state.calls(), Stale: m.stale}
	seq := m.hub.position()
	m.mu.Unlock()
	return &snapshot{seq: seq, at: now, frame: appendFrame(nil, m.epoch, frame{seq: seq, name: frameSnapshot, data: data})}
}
