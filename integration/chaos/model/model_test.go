package model

import (
	"path/filepath"
	"testing"
	"time"
)

// at puts operations one after the other: the n-th takes the time from 10n to
// 10n+5. One without an answer stays open.
func at(ops ...Op) []Op {
	for i := range ops {
		op := &ops[i]
		op.Sent, op.Settled, op.Process = int64(10*i), int64(10*i+5), i
		if op.Verdict == Unknown {
			op.Settled = Open
		}
	}
	return ops
}

func started(user, client int, id CallID, token int64) Op {
	return Op{Kind: Start, User: user, Client: client, Verdict: Done, Held: Call{id, client, token}}
}

func lost(op Op) Op { op.Verdict = Unknown; return op }

func ended(user int, id CallID) Op { return Op{Kind: End, User: user, Call: id, Verdict: Done} }

func renewed(user, client int, id CallID, token int64, v Verdict) Op {
	op := Op{Kind: Renew, User: user, Call: id, Token: token, Verdict: v}
	if v == Done {
		op.Held = Call{id, client, token}
	}
	return op
}

func available(client, by int) Op { return Op{Kind: Available, Client: client, By: by, Verdict: Done} }

func refused(user, client, by int) Op {
	return Op{Kind: Start, User: user, Client: client, Verdict: ClientBeingCalled, By: by}
}

func onCall(user, client int, held Call) Op {
	return Op{Kind: Start, User: user, Client: client, Verdict: UserOnCall, Held: held}
}

func expired(user int, id CallID) Op { return Op{Kind: Expired, User: user, Call: id, Verdict: Done} }

func found(user int, held Call) Op { return Op{Kind: Found, User: user, Held: held, Verdict: Done} }

func TestCheck(t *testing.T) {
	overlapping := at(started(0, 0, 1, 1), refused(1, 0, 0), ended(0, 1))
	overlapping[1].Sent, overlapping[1].Settled = 0, 100 // it may be anywhere in between
	late := at(started(0, 0, 1, 1), ended(0, 1), refused(1, 0, 0))
	lateEnd := at(started(0, 0, 1, 1), lost(ended(0, NoCall)), ended(0, 1), started(0, 1, 2, 1), available(1, Nobody))

	for name, c := range map[string]struct {
		history []Op
		want    Result
	}{
		"nothing":                         {nil, Linearizable},
		"one call after the other":        {at(started(0, 0, 1, 1), ended(0, 1), started(1, 0, 2, 2), available(0, 1)), Linearizable},
		"I1, a client in two calls":       {at(started(0, 0, 1, 1), started(1, 0, 2, 2)), Violation},
		"I2, a user in two calls":         {at(started(0, 0, 1, 1), started(0, 1, 2, 1)), Violation},
		"I3, a start is gone":             {at(started(0, 0, 1, 1), available(0, Nobody)), Violation},
		"I3, a start is not in the store": {at(started(0, 0, 1, 1), found(0, Call{})), Violation},
		"I3, an end is undone":            {at(started(0, 0, 1, 1), ended(0, 1), available(0, 0)), Violation},
		"I3, an end is not in the store":  {at(started(0, 0, 1, 1), ended(0, 1), found(0, Call{1, 0, 1})), Violation},
		"found as left":                   {at(started(0, 0, 1, 1), found(0, Call{1, 0, 1}), found(1, Call{})), Linearizable},
		"I4, refused meanwhile":           {overlapping, Linearizable},
		"I4, refused for a call gone":     {late, Violation},
		"I4, refused by the wrong user":   {at(started(0, 0, 1, 1), refused(1, 0, 2)), Violation},
		"I4, refused by a stranger":       {at(started(0, 0, 1, 1), refused(1, 0, Stranger)), Violation},
		"I4, told of a call of before":    {at(started(0, 0, 1, 1), ended(0, 1), onCall(0, 1, Call{1, 0, 1})), Violation},
		"I5, expired":                     {at(started(0, 0, 1, 1), expired(0, 1), available(0, Nobody)), Linearizable},
		"I5, over twice":                  {at(started(0, 0, 1, 1), ended(0, 1), expired(0, 1)), Violation},
		"I6, the same token":              {at(started(0, 0, 1, 1), ended(0, 1), started(1, 0, 2, 1)), Violation},
		"I6, another token renews":        {at(started(0, 0, 1, 2), renewed(0, 0, 1, 1, Done)), Violation},
		"I6, another token is refused":    {at(started(0, 0, 1, 2), renewed(0, 0, 1, 1, CallOver)), Linearizable},
		"renewed after its end":           {at(started(0, 0, 1, 1), ended(0, 1), renewed(0, 0, 1, 1, Done)), Violation},
		"call over while it is on":        {at(started(0, 0, 1, 1), renewed(0, 0, 1, 1, CallOver)), Violation},
		"an end of another call":          {at(started(0, 0, 1, 1), ended(0, 7), available(0, 0)), Linearizable},
		"a lost start that happened":      {at(lost(started(0, 0, 1, 1)), available(0, Nobody), available(0, 0)), Linearizable},
		"a lost start that did not":       {at(lost(started(0, 0, 1, 1)), started(1, 0, 2, 1), ended(1, 2), available(0, Nobody)), Linearizable},
		"a lost start does not flicker":   {at(lost(started(0, 0, 1, 1)), available(0, 0), available(0, Nobody)), Violation},
		"a lost end comes late":           {lateEnd, Linearizable},
		"a lost end, once":                {append(lateEnd, Op{Kind: Available, Client: 1, By: 0, Verdict: Done, Sent: 60, Settled: 65}), Violation},
		"a read without an answer":        {at(lost(available(0, 0)), lost(renewed(0, 0, 5, 5, Done))), Linearizable},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Check(c.history, time.Minute); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestPicture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.html")
	if err := Picture(at(started(0, 0, 1, 1), started(1, 0, 2, 2), lost(ended(0, 1))), time.Minute, path); err != nil {
		t.Fatal(err)
	}
}
