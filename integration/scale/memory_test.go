package scale

import (
	"net/http"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// perUser is what a user may take in memory, in bytes: half of them on a call, with
// the list of users, encoded in all its forms, and the snapshot of the live events.
// It is three times what was measured.
const perUser = 12 << 10

// TestMemoryAnItem holds the memory of a node that has read everything and is asked
// for it to what grows with the number of users. The collector runs often here, so
// that what is alive is nearly all there is.
func TestMemoryAnItem(t *testing.T) {
	pg := pgtest.StartServer(t, pgtest.Options{})
	sizes := []size{{200, 20, 10}, {2_000, 2_000, 1_000}}
	var heap [2]float64
	for i, n := range sizes {
		d := deploy(t, pg, []string{"few", "many"}[i], n)
		d.Env = append(d.Env, "GOGC=10")
		d.restart(t) // what it did before is no matter
		heap[i] = d.heap(t, heap[0]+perUser*float64(n.users-sizes[0].users))
		d.stop(t)
	}
	users := sizes[1].users - sizes[0].users
	each := (heap[1] - heap[0]) / float64(users)
	t.Logf("%.0f bytes each for %d users, half of them on a call", each, users)
	if each > perUser {
		t.Errorf("%.0f bytes each for %d users, at most %d are allowed", each, users, perUser)
	}
}

// heap asks for everything until the heap is as small as wanted, or will not be: the
// least that was seen.
func (d *deployment) heap(t *testing.T, wanted float64) float64 {
	t.Helper()
	client := newClient(t)
	least, deadline := 0.0, time.Now().Add(20*time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for looks := 0; looks < 15 || least > wanted && time.Now().Before(deadline); looks++ {
		for _, header := range []http.Header{nil, {"Accept-Encoding": {"gzip"}}} {
			d.get(t, client, http.StatusOK, "/api/user-status", header)
			d.get(t, client, http.StatusOK, "/api/user-status?on_call=true", header)
		}
		d.snapshot(t, client)
		if now := d.metric(t, client, "go_memstats_heap_alloc_bytes"); least == 0 || now < least {
			least = now
		}
		<-tick.C
	}
	return least
}
