package chaos

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/integration/chaos/model"
	"github.com/dibs-calls/dibs/messages"
)

// decideWithin bounds the search for an explanation of one team's history. A
// history of some hundred requests takes milliseconds.
const decideWithin = 60 * time.Second

// judge holds the histories of a deployment to what the store has at the end.
type judge struct {
	d    *deployment
	end  snapshot
	rows map[messages.CallID]row
}

func newJudge(d *deployment, end snapshot) *judge {
	j := &judge{d: d, end: end, rows: map[messages.CallID]row{}}
	for _, r := range slices.Concat(end.running, end.over) {
		if before, twice := j.rows[r.id]; twice {
			j.d.book.defects.addf("I5: call %s stands twice in the store: %+v and %+v", r.id, before, r)
		}
		j.rows[r.id] = r
	}
	return j
}

// verdict is what came of the histories.
type verdict struct {
	Teams     int `json:"teams"`
	Requests  int `json:"requests"`
	Undecided int `json:"undecided"` // teams whose history could not be decided in time
}

// histories checks every team. Pictures of those that cannot be explained go to
// folder, unless it is empty.
func (j *judge) histories(folder string, keep bool) (v verdict) {
	all := map[messages.UserID]bool{}
	for _, p := range j.d.probed {
		all[p.user] = true
	}
	for _, m := range j.d.teams {
		for _, u := range m.users {
			all[u] = true
		}
		if len(m.entries) == 0 {
			continue
		}
		v.Teams++
		v.Requests += len(m.entries)
		history := j.history(m)
		result := model.Check(history, decideWithin)
		picture := ""
		if folder != "" && (result != model.Linearizable || keep) {
			must(j.d.t, os.MkdirAll(folder, 0o755))
			picture = filepath.Join(folder, fmt.Sprintf("%s-team-%d.html", j.d.name, m.number))
			if err := model.Picture(history, decideWithin, picture); err != nil {
				picture = err.Error()
			}
		}
		switch result {
		case model.Violation:
			j.d.book.defects.addf("the history of team %d of %s cannot be explained: %s%s", m.number, j.d.name, picture, latest(history))
		case model.Undecided:
			v.Undecided++
		}
	}
	for _, r := range j.rows {
		if !all[r.user] {
			j.d.book.defects.addf("call %s is of a user whom nobody knows: %+v", r.id, r)
		}
	}
	return v
}

// latest says short histories in words: those of tests that expect a violation.
func latest(history []model.Op) string {
	if len(history) > 12 {
		return ""
	}
	text := ""
	for i := range history {
		text += "\n\t" + history[i].String()
	}
	return text
}

// history puts what was recorded into the words of the model, together with
// what only the store knows: which calls starts without an answer made, which
// ended by their lease, and what there is at the end.
func (j *judge) history(m *team) []model.Op {
	w := writer{judge: j, team: m, ids: map[messages.CallID]model.CallID{}, sent: map[messages.CallID]time.Duration{}, explained: map[messages.CallID]bool{}}
	for i := range m.entries {
		if e := &m.entries[i]; e.kind == model.Start && e.verdict == model.Done {
			w.explained[e.held.ID] = true
			w.sent[e.held.ID] = e.sent
		}
	}
	for i := range m.entries {
		w.entry(&m.entries[i])
	}
	w.unexplained()
	w.fromStore()
	return w.ops
}

// writer writes one team's history.
type writer struct {
	*judge
	team      *team
	ops       []model.Op
	ids       map[messages.CallID]model.CallID
	sent      map[messages.CallID]time.Duration // when the start of a call was sent
	explained map[messages.CallID]bool          // calls that somebody asked for
}

func (w *writer) id(id messages.CallID) model.CallID {
	if id.IsZero() {
		return model.NoCall
	}
	if _, known := w.ids[id]; !known {
		w.ids[id] = model.CallID(len(w.ids) + 1)
	}
	return w.ids[id]
}

func (w *writer) call(c messages.Call) model.Call {
	if c.IsZero() {
		return model.Call{}
	}
	return model.Call{ID: w.id(c.ID), Client: w.team.clientIndex(c.ClientID), Token: c.Token}
}

func (w *writer) entry(e *entry) {
	op := model.Op{
		Kind: e.kind, User: e.user, Client: e.client, Call: w.id(e.call), Token: e.token, Process: e.process,
		Sent: int64(e.sent), Settled: int64(e.settled), Verdict: e.verdict, By: w.team.userIndex(e.by),
	}
	if e.verdict == model.Unknown {
		op.Settled = model.Open
	}
	op.Held = w.call(e.held)
	if e.kind == model.End {
		op.Held = model.Call{} // what the user is on then may be another call
	}
	if e.kind == model.Start && e.verdict == model.Unknown {
		made, ok := w.madeBy(e)
		if !ok {
			return // as the store has it, it made none
		}
		w.explained[made.id], w.sent[made.id] = true, e.sent
		op.Held = model.Call{ID: w.id(made.id), Client: e.client, Token: made.token}
	}
	w.ops = append(w.ops, op)
}

// madeBy returns the call that a start without an answer made. With a key the
// store says which; without one there is no other start of the pair that it
// could be of.
func (w *writer) madeBy(e *entry) (row, bool) {
	if e.key != "" {
		r, ok := w.rows[w.end.answers[e.key]]
		return r, ok
	}
	for _, r := range w.rows {
		if r.user != w.team.users[e.user] || r.client != w.team.clients[e.client] || w.explained[r.id] || w.hasKey(r.id) {
			continue
		}
		return r, true
	}
	return row{}, false
}

// hasKey reports whether a start with a key made a call. Keys of ends do not count:
// the answer of one may show a call that it left alone.
func (w *writer) hasKey(id messages.CallID) bool {
	for i := range w.team.entries {
		if e := &w.team.entries[i]; e.kind == model.Start && e.key != "" && w.end.answers[e.key] == id {
			return true
		}
	}
	return false
}

// unexplained finds calls that nobody asked for.
func (w *writer) unexplained() {
	for id, r := range w.rows {
		if w.team.userIndex(r.user) >= 0 && !w.explained[id] {
			w.d.book.defects.addf("I8: nobody asked for call %s of team %d, user %d and client %d (token %d, %q)%s",
				id, w.team.number, w.team.userIndex(r.user), w.team.clientIndex(r.client), r.token, r.reason, w.suspects(r))
		}
	}
}

// suspects are the starts that a call nobody asked for may be of: those of its
// pair that were not answered at once.
func (w *writer) suspects(r row) (text string) {
	for i := range w.team.entries {
		e := &w.team.entries[i]
		if e.kind == model.Start && len(e.tries) > 0 && w.team.users[e.user] == r.user && w.team.clients[e.client] == r.client {
			text += "\n\t" + e.String()
		}
	}
	return text
}

// fromStore adds what the store alone knows: calls that ended by their lease, at
// any time after they began, and what is in progress at the end.
func (w *writer) fromStore() {
	var held [model.Size]model.Call
	for _, r := range w.end.running {
		if u := w.team.userIndex(r.user); u >= 0 {
			held[u] = model.Call{ID: w.id(r.id), Client: w.team.clientIndex(r.client), Token: r.token}
		}
	}
	for _, r := range w.end.over {
		if u := w.team.userIndex(r.user); u >= 0 && r.reason == messages.ReasonExpired {
			w.ops = append(w.ops, model.Op{
				Kind: model.Expired, User: u, Call: w.id(r.id), Verdict: model.Done,
				Sent: int64(w.sent[r.id]), Settled: int64(w.end.done), Process: storeProcess,
			})
		}
	}
	for u, call := range held {
		w.ops = append(w.ops, model.Op{
			Kind: model.Found, User: u, Held: call, Verdict: model.Done,
			Sent: int64(w.end.read), Settled: int64(w.end.done), Process: storeProcess + 1 + u,
		})
	}
	slices.SortStableFunc(w.ops, func(a, b model.Op) int { return cmp.Compare(a.Sent, b.Sent) })
}

// storeProcess is who "asks" what the store says, in pictures.
const storeProcess = 1000
