package actors

import (
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

func entryOf(client messages.ClientID, n int64) entry {
	return entry{write: &messages.Write{Kind: messages.WriteClaim, Client: client, Token: n}}
}

func newClients(n int) []messages.ClientID {
	clients := make([]messages.ClientID, n)
	for i := range clients {
		clients[i].UUID = uuid.New()
	}
	return clients
}

// Whatever comes and ends when: nothing is lost, no client is in two batches at a
// time, and each client's writes are begun in the order in which they came. A write
// that may be of any client has nothing beside it.
func TestBatchesKeepTheOrderOfEachClient(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 1))
		most := 1 + rng.IntN(4)
		b := newBatches(most)
		clients := newClients(1 + rng.IntN(300))
		begun := map[messages.ClientID]int64{}
		var underway [][]entry
		added, taken := int64(0), 0
		begin := func() {
			for batch := b.next(); batch != nil; batch = b.next() {
				underway = append(underway, batch)
				taken += len(batch)
				for _, e := range batch {
					if e.write.Token <= begun[e.write.Client] {
						t.Fatalf("seed %d: write %d after %d", seed, e.write.Token, begun[e.write.Client])
					}
					begun[e.write.Client] = e.write.Token
				}
			}
			wantApart(t, underway, most)
		}
		finish := func() {
			i := rng.IntN(len(underway))
			b.done(underway[i])
			underway = append(underway[:i], underway[i+1:]...)
		}
		for range 100 {
			for range rng.IntN(200) {
				added++
				client := messages.ClientID{}
				if rng.IntN(500) > 0 {
					client = clients[rng.IntN(len(clients))]
				}
				b.add(entryOf(client, added))
			}
			begin()
			if len(underway) > 0 && rng.IntN(3) > 0 {
				finish()
				begin()
			}
		}
		for len(underway) > 0 {
			finish()
			begin()
		}
		if !b.idle() || int64(taken) != added {
			t.Fatalf("seed %d: %d of %d writes were begun", seed, taken, added)
		}
	}
}

func wantApart(t *testing.T, underway [][]entry, most int) {
	t.Helper()
	if len(underway) > most {
		t.Fatalf("%d batches at a time", len(underway))
	}
	in := map[messages.ClientID]int{}
	for n, batch := range underway {
		if len(batch) > maxBatch {
			t.Fatalf("a batch of %d", len(batch))
		}
		for _, e := range batch {
			if other, there := in[e.write.Client]; there && other != n {
				t.Fatalf("a client is in two batches")
			}
			in[e.write.Client] = n
			if anyClient(e) && len(underway) > 1 {
				t.Fatalf("a batch stands beside a write that may be of any client")
			}
		}
	}
}

// A batch begins beside another one only if it is worth it.
func TestFewWritesWait(t *testing.T) {
	b := newBatches(2)
	clients := newClients(besideAt + 1)
	b.add(entryOf(clients[0], 1))
	first := b.next()
	if len(first) != 1 {
		t.Fatalf("%d writes", len(first))
	}
	for i := range besideAt - 1 {
		b.add(entryOf(clients[i+1], 1))
	}
	if batch := b.next(); batch != nil {
		t.Fatalf("%d writes did not wait", len(batch))
	}
	b.add(entryOf(clients[besideAt], 1))
	if batch := b.next(); len(batch) != besideAt {
		t.Fatalf("%d writes, want %d", len(batch), besideAt)
	}
}
