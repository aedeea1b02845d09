package live

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who resumes may have been told something else by another node meanwhile.
func TestResumedToldStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := scripted{make(chan Sink), make(chan error)}
		m := newModel(t, newStore(1), func(c *Config) { c.Feed = feed })
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		sink := <-feed.to
		synctest.Wait()
		r := listen(t, m, "")
		synctest.Wait()
		resumes := func(want bool, frames string) {
			t.Helper()
			r.stale = !want
			last := r.lastID
			r = r.resume(m)
			time.Sleep(time.Second) // the fake clock: the pump has had its turn
			synctest.Wait()
			r.look(func(r *reader) {
				if got := strings.Join(r.names, " "); r.stale != want || got != frames || r.snapshots != 0 {
					t.Errorf("stale %v, want %v; frames %q, want %q", r.stale, want, got, frames)
				}
				if strings.HasSuffix(frames, framePing) && r.lastID != last {
					t.Errorf("the greeting moved the reader from %s to %s", last, r.lastID)
				}
			})
			r.stop()
		}
		r.stop()
		resumes(true, "stale ping")
		sink.Stale(false)
		synctest.Wait()
		resumes(false, "stale ping stale") // and what it missed
		resumes(false, "stale ping")
		sink.Stale(true)
		synctest.Wait()
		resumes(true, "stale ping stale")
		resumes(true, "stale ping")
		cancel()
		synctest.Wait()
	})
}
