package chaos

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestTeeth takes guards out, one after the other, and expects to be told. A
// harness that finds nothing proves nothing as long as nobody has seen it find
// something.
//
// The store's indexes are the last guard behind the others, so what the others
// do must be something that no index can know: whose a renewal or an end is,
// and whether what somebody is refused for has happened.
func TestTeeth(t *testing.T) {
	for _, c := range []struct {
		name   string
		shape  shape
		sql    string     // carried out before the nodes start
		guards []mutation // taken out of the nodes
	}{
		{
			name: "the index of clients dropped", // I1
			sql:  "ALTER TABLE claims DROP CONSTRAINT claims_client_id_key",
		},
		{
			name: "the index of users dropped", // I2
			sql:  "ALTER TABLE claims DROP CONSTRAINT claims_pkey",
		},
		{
			name: "whose call it is not asked", // I6
			guards: []mutation{
				{
					file:     "actors/user/commands.go",
					guard:    "if t.held == nil || do.Call != t.held.ID || do.Token != 0 && do.Token != t.held.Token {",
					replaced: "if t.held == nil {",
				},
				{
					file:     "actors/user/commands.go",
					guard:    "case t.held == nil, !do.Call.IsZero() && do.Call != t.held.ID:",
					replaced: "case t.held == nil:",
				},
			},
		},
		{
			// In a cluster actors trust what they remember, because nobody else can
			// know better. The indexes keep calls apart all the same; what people are
			// told is wrong.
			name:  "every node is at home everywhere", // I4
			shape: cluster,
			guards: []mutation{{
				file:     "placement/homes.go",
				guard:    "if home != h.self || home == \"\" {\n\t\treturn home, false\n\t}",
				replaced: "if home != \"\" {\n\t\treturn h.self, true\n\t}",
			}},
		},
		{
			name: "refused before the commit", // I4
			guards: []mutation{{
				file:     "actors/client/step.go",
				guard:    "t.wait(waiter{user: m.User, call: m.Call})\n\tcase Check:",
				replaced: "t.toUser(messages.Refused{User: m.User, Call: m.Call, Caller: &messages.Caller{ID: t.holder.user}})\n\tcase Check:",
			}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan{shape: c.shape, nodes: 3, teams: 400}
			if len(c.guards) > 0 {
				p.binary = build(t, c.guards...)
			}
			if c.sql != "" {
				p.sql = []string{c.sql}
			}
			newWorld(t, p).team.mustBeCaught(t)
		})
	}
}

// caughtWithin is how long a violation may hide.
const caughtWithin = 3 * time.Minute

// mustBeCaught lets callers fight over few clients until a history cannot be
// explained.
func (d *deployment) mustBeCaught(t *testing.T) {
	t.Helper()
	l := load{slots: 4, callers: 4, think: 2 * time.Millisecond, patience: 3 * time.Second, most: 3 * time.Second, entries: 120}
	begin := time.Now()
	for burst := uint64(0); time.Since(begin) < caughtWithin; burst++ {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		d.run(ctx, l, burst)
		stop()
		newJudge(d, d.snapshot()).histories("", false)
		for _, found := range d.book.defects.all() {
			if strings.Contains(found, "cannot be explained") {
				t.Logf("caught after %v: %s", time.Since(begin).Round(time.Millisecond), found)
				return
			}
		}
	}
	t.Errorf("a guard was taken out, and after %v nothing was found that cannot be explained (but %q)", caughtWithin, d.book.defects.all())
}
