package postgres_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/dibs-calls/dibs/persistence/storetest"
)

// pair is two stores on one database, which commit by turns, as two nodes would.
type pair struct {
	*postgres.Store
	other *postgres.Store
	turn  *atomic.Int64
}

func (p pair) Commit(ctx context.Context, batch []messages.Write) ([]messages.Outcome, error) {
	if p.turn.Add(1)%2 == 0 {
		return p.other.Commit(ctx, batch)
	}
	return p.Store.Commit(ctx, batch)
}

// What is published is in order whichever node committed it.
func TestOutboxOfTwoStores(t *testing.T) {
	storetest.RunTopic(t, "Outbox", func(t *testing.T) persistence.Store {
		url := pgtest.URL(t)
		return pair{open(t, url), open(t, url), new(atomic.Int64)}
	})
}

// Two nodes on one database, whose people all want the same few clients: I1, I2
// and I6 hold in what was acknowledged and in what is in the store.
func TestTwoStoresRace(t *testing.T) {
	const perStore = 12 // users
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	url := pgtest.URL(t)
	b := newBench(t, url, nil)
	stores := []*postgres.Store{b.store, open(t, url)}
	users, clients := b.people(t, len(stores)*perStore), b.clients(t, 4)
	watch := &watcher{holders: map[messages.ClientID]messages.Call{}, last: map[messages.ClientID]int64{}}
	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() {
			for range rounds {
				dial(t, stores[i%len(stores)], watch, u, clients[rand.IntN(len(clients))])
			}
		})
	}
	wg.Wait()
	if watch.calls == 0 {
		t.Error("nobody got through")
	}
	t.Logf("%d calls in %d attempts", watch.calls, len(users)*rounds)
	var left, repeated int
	err := b.direct.QueryRow(t.Context(), `
SELECT (SELECT count(*) FROM claims),
       (SELECT count(*) FROM calls a JOIN calls b ON a.client_id = b.client_id AND a.token < b.token AND a.ended_at > b.started_at)`).
		Scan(&left, &repeated)
	if err != nil || left != 0 || repeated != 0 {
		t.Errorf("%v; %d claims left, %d calls that overlap in the history", err, left, repeated)
	}
}

// watcher knows which claims were acknowledged and not yet asked to end.
type watcher struct {
	mu      sync.Mutex
	holders map[messages.ClientID]messages.Call
	last    map[messages.ClientID]int64
	calls   int
}

func (w *watcher) begin(t *testing.T, c messages.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if other, held := w.holders[c.ClientID]; held {
		t.Errorf("I1: %+v and %+v are in progress", other, c)
	}
	if c.Token <= w.last[c.ClientID] {
		t.Errorf("I6: token %d after %d", c.Token, w.last[c.ClientID])
	}
	w.holders[c.ClientID], w.last[c.ClientID] = c, c.Token
	w.calls++
}

func (w *watcher) end(c messages.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.holders, c.ClientID)
}

// dial claims a client and, if it was free, ends the call.
func dial(t *testing.T, s *postgres.Store, watch *watcher, u messages.UserID, c messages.ClientID) {
	outcomes, err := s.Commit(t.Context(), []messages.Write{
		{Kind: messages.WriteClaim, User: u, Client: c, Call: newCall(), Lease: time.Hour},
	})
	if err != nil {
		t.Error(err)
		return
	}
	switch o := outcomes[0]; o.Kind {
	case messages.OutcomeDone:
		watch.begin(t, o.Call)
		watch.end(o.Call)
		ended, err := s.Commit(t.Context(), []messages.Write{{
			Kind: messages.WriteRelease, User: u, Client: c, Call: o.Call.ID, Token: o.Call.Token,
			Reason: messages.ReasonCompleted,
		}})
		if err != nil || ended[0].Kind != messages.OutcomeDone {
			t.Errorf("end: %v, %+v", err, ended)
		}
	case messages.OutcomeClientHeld:
		if o.Call.UserID == u || o.Holder.Name == "" {
			t.Errorf("I4: %s is refused because of %+v", u, o)
		}
	default:
		t.Errorf("I2: outcome %d of a user who is on no call", o.Kind)
	}
}
