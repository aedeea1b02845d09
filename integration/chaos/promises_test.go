package chaos

import (
	"cmp"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/integration/chaos/model"
	"github.com/dibs-calls/dibs/messages"
)

// promises checks what needs no search: each says what it holds the store to.
func (j *judge) promises() {
	j.tokens()
	for _, m := range j.d.teams {
		j.acknowledged(m)
		j.reasons(m)
	}
	if j.d.onPostgres() {
		j.overlaps()
		j.leases()
	}
}

// tokens: no two calls of a client have the same (I6), no client and no user is
// in two calls at the end (I1, I2).
func (j *judge) tokens() {
	type fence struct {
		client messages.ClientID
		token  int64
	}
	seen := map[fence]messages.CallID{}
	clients, users := map[messages.ClientID]bool{}, map[messages.UserID]bool{}
	for id, r := range j.rows {
		f := fence{r.client, r.token}
		if other, twice := seen[f]; twice {
			j.d.book.defects.addf("I6: calls %s and %s of client %s have the token %d", id, other, r.client, r.token)
		}
		seen[f] = id
	}
	for _, r := range j.end.running {
		if clients[r.client] {
			j.d.book.defects.addf("I1: client %s is in two calls", r.client)
		}
		if users[r.user] {
			j.d.book.defects.addf("I2: user %s is in two calls", r.user)
		}
		clients[r.client], users[r.user] = true, true
	}
}

// acknowledged: every start and end that was acknowledged is in the store (I3).
func (j *judge) acknowledged(m *team) {
	running := map[messages.CallID]bool{}
	for _, r := range j.end.running {
		running[r.id] = true
	}
	for i := range m.entries {
		e := &m.entries[i]
		switch {
		case e.verdict != model.Done:
		case e.kind == model.Start:
			want := row{id: e.held.ID, user: e.held.UserID, client: e.held.ClientID, token: e.held.Token}
			got := j.rows[e.held.ID]
			got.reason = ""
			if got != want {
				j.d.book.defects.addf("I3: a start was acknowledged as %+v, and the store has %+v", want, got)
			}
		case e.kind == model.End && running[e.call]:
			j.d.book.defects.addf("I3: the end of call %s was acknowledged, and it is in progress", e.call)
		}
	}
}

// reasons: a call that ended as completed was ended by somebody (I5).
func (j *judge) reasons(m *team) {
	ends := map[messages.CallID]bool{}
	any := map[int]bool{} // users of whom somebody ended whichever call they were on
	for i := range m.entries {
		if e := &m.entries[i]; e.kind == model.End {
			ends[e.call] = true
			any[e.user] = any[e.user] || e.call.IsZero()
		}
	}
	for _, r := range j.end.over {
		u := m.userIndex(r.user)
		if u < 0 || r.reason == messages.ReasonExpired || r.reason == messages.ReasonCompleted && (ends[r.id] || any[u]) {
			continue
		}
		j.d.book.defects.addf("I5: call %s ended as %q, and nobody ended it", r.id, r.reason)
	}
}

// overlaps: by the store's own times no client was in two calls (I1).
func (j *judge) overlaps() {
	const query = `SELECT count(*) FROM (
		SELECT started_at < lag(ended_at) OVER (PARTITION BY client_id ORDER BY token) AS early FROM calls) c WHERE early`
	if n := j.d.count(query); n > 0 {
		j.d.book.defects.addf("I1: by the store's times %d calls began while their client was in another", n)
	}
}

// leases: no call ended by its lease before the time that somebody had been told
// last. Before last somebody may have been told more: when the store's clock is
// set back, a renewal makes a lease shorter.
func (j *judge) leases() {
	told := map[messages.CallID]time.Time{}
	for _, m := range j.d.teams {
		for id, promises := range m.promises() {
			told[id] = lastTold(promises)
		}
	}
	rows, err := j.d.db.QueryContext(j.d.t.Context(), "SELECT id, ended_at FROM calls WHERE reason = 'expired'")
	must(j.d.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id messages.CallID
		var ended time.Time
		must(j.d.t, rows.Scan(&id.UUID, &ended))
		if ended.Before(told[id]) {
			j.d.book.defects.addf("I5: call %s expired at %v, and somebody was told that it goes on until %v", id, ended, told[id])
		}
	}
	must(j.d.t, rows.Err())
}

// promises are the answers that said until when a call goes on.
func (m *team) promises() map[messages.CallID][]*entry {
	all := map[messages.CallID][]*entry{}
	for i := range m.entries {
		e := &m.entries[i]
		if e.verdict == model.Done && (e.kind == model.Start || e.kind == model.Renew) {
			all[e.held.ID] = append(all[e.held.ID], e)
		}
	}
	return all
}

// lastTold is the earliest time told by an answer that may have been the last.
func lastTold(promises []*entry) (t time.Time) {
	last := slices.MaxFunc(promises, func(a, b *entry) int { return cmp.Compare(a.sent, b.sent) })
	for _, e := range promises {
		if e.settled >= last.sent && (t.IsZero() || e.held.LeaseExpiresAt.Before(t)) {
			t = e.held.LeaseExpiresAt
		}
	}
	return t
}

// overdue is how late the sweeper may be once nothing is broken any more.
const overdue = 20 * time.Second

// expire waits until no call in progress is past its lease (I5).
func (d *deployment) expire() {
	if !d.onPostgres() {
		return // times in SQLite are numbers of its own
	}
	const query = "SELECT count(*) FROM claims WHERE lease_expires_at < now() - interval '1 second'"
	if !d.within(overdue, func() bool { return d.count(query) == 0 }) {
		d.book.defects.addf("I5: %d calls are past their lease and still in progress after %v", d.count(query), overdue)
	}
}

// clear ends what is in progress, as an administrator does, and waits until
// every node says that nobody is on a call.
func (d *deployment) clear() {
	d.t.Helper()
	operator := newAPI(d.t, d, d.admin, 10*time.Second)
	for _, r := range d.snapshot().running {
		release := request{method: "DELETE", path: "/api/user-status/" + r.user.String() + "/call", body: []byte(`{"reason":"end of the run"}`)}
		var what outcome
		var err error
		if !d.within(healLimit, func() bool { // its store's disk may stand still
			_, what, err = operator.try(d.t.Context(), 0, release)
			return err != nil || what == answered
		}) || err != nil {
			d.book.defects.addf("an administrator cannot end call %s: outcome %v, %v", r.id, what, err)
		}
	}
	if left := d.snapshot().running; len(left) > 0 {
		d.book.defects.addf("I5: %d calls cannot be ended", len(left))
	}
	for i, n := range d.nodes {
		if !d.within(healLimit, func() bool { return d.nobodyIsOnCall(operator, i) }) {
			d.book.defects.addf("node %s still says that somebody is on a call, and the store says that nobody is", n.name)
		}
	}
}

// nobodyIsOnCall asks a node for the list that people see.
func (d *deployment) nobodyIsOnCall(a *api, node int) bool {
	r, what, err := a.try(d.t.Context(), node, request{method: "GET", path: "/api/user-status?on_call=true"})
	return err == nil && what == answered && len(r.Users) == 0
}
