package storetest

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func outboxPromises() []promise {
	return []promise{
		{"I7: a small batch has one row with the events of its outcomes, ends first", outboxRow},
		{"A batch that starts and ends nothing has no row", outboxNoRow},
		{"I7: each start and each end stands in one row, whatever is tried again", outboxOnce},
		{"A batch that was not applied has no row", outboxNotApplied},
		{"I7: the events of a thousand writes are read as they were", outboxLarge},
		{"Rows come in the order of their ids, at most limit", outboxOrder},
		{"I7: for one client rows are read in the order of its calls, while many commit", outboxConcurrent},
		{"Rows that who asks has already are left out, and the others keep their order", outboxExcept},
		{"ClearOutbox can be repeated, and an id is never given twice", outboxClear},
		{"OutboxBacklog says how many there are and since when", outboxBacklog},
		{"OutboxSize measures what came since, some rows at a time", outboxSize},
		{"TrimOutbox removes what is too old, and the oldest of what is too much", outboxTrim},
	}
}

func outboxRows(t *testing.T, s persistence.Store) []messages.OutboxRow {
	t.Helper()
	rows, err := s.OutboxRows(t.Context(), nil, 1_000_000)
	noError(t, err)
	return rows
}

func clearOutbox(t *testing.T, s persistence.Store) {
	t.Helper()
	noError(t, s.ClearOutbox(t.Context(), rowIDs(outboxRows(t, s))))
	wantEqual(t, "rows left", len(outboxRows(t, s)), 0)
}

func rowIDs(rows []messages.OutboxRow) []int64 {
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids
}

// eventsOf are the events of outcomes of that type.
func eventsOf(outcomes []messages.Outcome, t messages.EventType) []messages.Event {
	var events []messages.Event
	for _, o := range outcomes {
		if o.Event != nil && o.Event.Type == t {
			events = append(events, *o.Event)
		}
	}
	return events
}

func outboxRow(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	user, client := addOdd(t, s)
	ended, renewed := start(t, s, user, client), start(t, s, users[1], clients[1])
	wantEqual(t, "rows of two batches", len(outboxRows(t, s)), 2)
	clearOutbox(t, s)
	release := releaseOf(ended)
	release.Disposition, release.Log = odd, logOf(user, client, "kept to oneself")
	outcomes := commit(
		t, s,
		claimOf(users[0], client), // the client of the call that ends
		renewalOf(renewed, 3*time.Hour, 0),
		claimOf(users[2], clients[1]), // held
		release,
		claimOf(user, clients[2]), // the user of the call that ends
	)
	rows := outboxRows(t, s)
	if len(rows) != 1 || rows[0].ID <= 0 {
		t.Fatalf("the rows of one batch: %+v", rows)
	}
	want := append(eventsOf(outcomes, messages.EventCallEnded), eventsOf(outcomes, messages.EventCallStarted)...)
	wantEqual(t, "number of events", len(want), 3)
	wantEqual(t, "events", rows[0].Events, want)
}

func outboxNoRow(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	w := claimOf(users[0], c)
	call := commitOne(t, s, w).Call
	clearOutbox(t, s)
	stale := releaseOf(call)
	stale.Token++
	commit(
		t, s, w, stale, expiryOf(call), renewalOf(call, 2*time.Hour, 0), claimOf(users[1], c),
		noteOf(users[0], logOf(users[0], c, "meanwhile")), withKey(claimOf(users[1], c), newKey("start")),
	)
	wantEqual(t, "rows", len(outboxRows(t, s)), 0)
}

func outboxOnce(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	key := newKey("start")
	claim := withKey(claimOf(u, c), key)
	again := withKey(claimOf(u, c), key) // a retry brings an id of its own
	var call messages.Call
	for _, o := range commit(t, s, claim, again) {
		if o.Kind == messages.OutcomeDone {
			call = o.Call
		}
	}
	commit(t, s, claim)
	commit(t, s, again, again)
	release := withKey(releaseOf(call), newKey("end"))
	commit(t, s, release, release, releaseOf(call))
	commit(t, s, release, releaseOf(call))
	commit(t, s, claim)
	var told []string
	for _, row := range outboxRows(t, s) {
		for _, e := range row.Events {
			told = append(told, e.ID)
		}
	}
	wantEqual(t, "events", told, []string{
		messages.EventID(call.ID, messages.EventCallStarted), messages.EventID(call.ID, messages.EventCallEnded),
	})
}

func outboxNotApplied(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Commit(ctx, []messages.Write{claimOf(users[0], clients[0])})
	wantCode(t, err, messages.CodeUnavailable)
	bad := noteOf(users[1], logOf(users[1], clients[1], "\x00"))
	_, err = s.Commit(t.Context(), []messages.Write{claimOf(users[0], clients[0]), bad})
	wantCode(t, err, messages.CodeBadRequest)
	wantEqual(t, "rows", len(outboxRows(t, s)), 0)
}

func outboxLarge(t *testing.T, s persistence.Store) {
	const n = 1000
	users, clients := addUsers(t, s, n), addClients(t, s, n)
	batch := make([]messages.Write, n)
	for i := range batch {
		batch[i] = claimOf(users[i], clients[i])
	}
	started := commit(t, s, batch...)
	for i, o := range started {
		batch[i] = releaseOf(o.Call)
	}
	ended := commit(t, s, batch...)
	var got []messages.Event
	for _, row := range outboxRows(t, s) {
		got = append(got, row.Events...)
	}
	want := append(eventsOf(started, messages.EventCallStarted), eventsOf(ended, messages.EventCallEnded)...)
	wantEqual(t, "events", got, want)
}

func outboxOrder(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 4), addClients(t, s, 4)
	var want []messages.CallID
	for i := range users {
		want = append(want, start(t, s, users[i], clients[i]).ID)
	}
	for limit := 1; limit <= 5; limit++ {
		rows, err := s.OutboxRows(t.Context(), nil, limit)
		noError(t, err)
		var got []messages.CallID
		for i, row := range rows {
			if i > 0 && row.ID <= rows[i-1].ID {
				t.Fatalf("row %d comes after %d", row.ID, rows[i-1].ID)
			}
			got = append(got, row.Events[0].Call.ID)
		}
		wantEqual(t, "calls", got, want[:min(limit, len(want))])
	}
}

func outboxExcept(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 5), addClients(t, s, 5)
	for i := range users {
		start(t, s, users[i], clients[i])
	}
	all := outboxRows(t, s)
	ids := rowIDs(all)
	for _, c := range []struct {
		except, want []int64
		limit        int
	}{
		{nil, ids, 5},
		{[]int64{}, ids, 5},
		{ids[:2], ids[2:], 5},
		{ids[1:3], []int64{ids[0], ids[3]}, 2}, // they do not count towards the limit
		{[]int64{ids[4], ids[0]}, ids[1:4], 5}, // in any order
		{[]int64{ids[4] + 1, -1}, ids, 5},      // that is not there
		{ids, []int64{}, 5},
	} {
		rows, err := s.OutboxRows(t.Context(), c.except, c.limit)
		noError(t, err)
		wantEqual(t, "rows", rowIDs(rows), c.want)
	}
	clearOutbox(t, s)
}

// outboxConcurrent publishes while others commit: every look takes what is
// there, in small pieces, so that a row that comes to light after a later one of
// its client would be found out.
func outboxConcurrent(t *testing.T, s persistence.Store) {
	const committers = 8
	rounds := unlessShort(60, 12)
	users, clients := addUsers(t, s, committers), addClients(t, s, 3)
	over := make(chan struct{})
	var published []messages.Event
	atOnce(2, func(i int) {
		if i == 0 {
			defer close(over)
			atOnce(committers, func(i int) {
				callAndHangUp(t, s, users[i], clients, rand.New(rand.NewPCG(uint64(i), 3)), rounds)
			})
			return
		}
		published = publishUntil(t, s, over)
	})
	checkPublished(t, published)
}

// callAndHangUp is a user who calls one of the clients again and again, and for
// who hangs up in the batch in which somebody else is called.
func callAndHangUp(t *testing.T, s persistence.Store, u messages.User, clients []messages.Client, r *rand.Rand, rounds int) {
	var mine *messages.Call
	for range rounds {
		var batch []messages.Write
		if mine != nil {
			batch = append(batch, releaseOf(*mine))
		}
		if mine == nil || r.IntN(2) == 0 {
			batch = append(batch, claimOf(u, clients[r.IntN(len(clients))]))
		}
		outcomes, err := s.Commit(t.Context(), batch)
		if err != nil {
			t.Errorf("commit: %v", err)
			return
		}
		mine = nil
		for i, o := range outcomes {
			if batch[i].Kind == messages.WriteClaim && o.Kind == messages.OutcomeDone {
				mine = &o.Call
			}
		}
	}
	if mine != nil {
		if _, err := s.Commit(t.Context(), []messages.Write{releaseOf(*mine)}); err != nil {
			t.Errorf("commit: %v", err)
		}
	}
}

// publishUntil reads and clears the outbox until it is empty after over was
// closed.
func publishUntil(t *testing.T, s persistence.Store, over <-chan struct{}) (published []messages.Event) {
	for {
		last := false
		select {
		case <-over:
			last = true
		default:
		}
		rows, err := s.OutboxRows(t.Context(), nil, 5)
		if err == nil {
			err = s.ClearOutbox(t.Context(), rowIDs(rows))
		}
		if err != nil {
			t.Errorf("publish: %v", err)
			return published
		}
		for _, row := range rows {
			published = append(published, row.Events...)
		}
		if last && len(rows) == 0 {
			return published
		}
	}
}

// checkPublished holds events of calls that are all over to the life of their
// clients: a start, its end, the next start with a higher token.
func checkPublished(t *testing.T, published []messages.Event) {
	t.Helper()
	last := map[messages.ClientID]messages.Event{}
	for _, e := range published {
		before, ok := last[e.Client.ID]
		last[e.Client.ID] = e
		switch {
		case e.Type == messages.EventCallEnded:
			if before.Type != messages.EventCallStarted || before.Call.ID != e.Call.ID {
				t.Fatalf("I7: the end of %s comes after %+v", e.Call.ID, before)
			}
		case ok && (before.Type != messages.EventCallEnded || before.Call.Token >= e.Call.Token):
			t.Fatalf("I7: the start of %+v comes after %+v", e.Call, before)
		}
	}
	for _, e := range last {
		if e.Type != messages.EventCallEnded {
			t.Errorf("I7: the last that was told of a client who is free is %+v", e)
		}
	}
	if len(published) < 2*len(last) || len(last) == 0 {
		t.Errorf("only %d events were published; the test has tested nothing", len(published))
	}
}

func outboxClear(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	for i := range users {
		start(t, s, users[i], clients[i])
	}
	rows := outboxRows(t, s)
	noError(t, s.ClearOutbox(t.Context(), nil))
	wantEqual(t, "rows", len(outboxRows(t, s)), 3)
	noError(t, s.ClearOutbox(t.Context(), []int64{rows[1].ID}))
	wantEqual(t, "rows left", outboxRows(t, s), []messages.OutboxRow{rows[0], rows[2]})
	for range 2 {
		noError(t, s.ClearOutbox(t.Context(), rowIDs(rows)))
		wantEqual(t, "rows left", len(outboxRows(t, s)), 0)
	}
	end(t, s, rows[0].Events[0].Call)
	next := outboxRows(t, s)
	if len(next) != 1 || next[0].ID <= rows[2].ID {
		t.Fatalf("rows %+v came after row %d", next, rows[2].ID)
	}
	noError(t, s.ClearOutbox(t.Context(), rowIDs(rows))) // says nothing of the new one
	wantEqual(t, "rows", outboxRows(t, s), next)
}

func outboxBacklog(t *testing.T, s persistence.Store) {
	backlog := func(want int) time.Time {
		t.Helper()
		n, oldest, err := s.OutboxBacklog(t.Context())
		noError(t, err)
		wantEqual(t, "rows", n, want)
		if (want == 0) != oldest.IsZero() || (want > 0 && !storedTime(oldest)) {
			t.Fatalf("the oldest of %d rows is of %v", n, oldest)
		}
		return oldest
	}
	backlog(0)
	u, c := addUser(t, s), addClient(t, s)
	first := start(t, s, u, c)
	oldest := backlog(1)
	if oldest.Before(first.StartedAt) {
		t.Fatalf("the row of %s is of %s", first.StartedAt, oldest)
	}
	end(t, s, first)
	wantEqual(t, "oldest of two", backlog(2), oldest)
	noError(t, s.ClearOutbox(t.Context(), rowIDs(outboxRows(t, s))[:1]))
	if left := backlog(1); left.Before(oldest) {
		t.Fatalf("the row left is of %s, older than %s", left, oldest)
	}
	clearOutbox(t, s)
	backlog(0)
}
