package fleet

import (
	"slices"
	"testing"
	"time"
)

const lease = time.Hour

// ms makes histories readable: times in them are milliseconds.
func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func start(user, client, sent, got int, o Outcome) Seen {
	return Seen{Verb: Start, User: user, Client: client, Sent: ms(sent), Got: ms(got), Outcome: o}
}

func end(user, sent, got int, o Outcome) Seen {
	return Seen{Verb: End, User: user, Sent: ms(sent), Got: ms(got), Outcome: o}
}

func token(s Seen, token int64) Seen { s.Token = token; return s }

func histories() map[string]struct {
	seen []Seen
	want []string // promises broken
} {
	return map[string]struct {
		seen []Seen
		want []string
	}{
		"one after the other": {seen: []Seen{start(1, 9, 0, 10, Done), end(1, 20, 30, Done), start(2, 9, 31, 40, Done)}},
		"two at once":         {[]Seen{start(1, 9, 0, 10, Done), start(2, 9, 1, 12, Done)}, []string{"I1"}},
		"two at once, then ended": {[]Seen{
			start(1, 9, 0, 10, Done), start(2, 9, 1, 12, Done), end(1, 20, 30, Done), end(2, 20, 30, Done),
		}, []string{"I1"}},
		"the second began while the first was being ended": {seen: []Seen{
			start(1, 9, 0, 10, Done), end(1, 20, 30, Done), start(2, 9, 15, 25, Done),
		}},
		"the second began before the first was ended": {[]Seen{
			start(1, 9, 0, 10, Done), start(2, 9, 12, 18, Done), end(1, 20, 30, Done),
		}, []string{"I1"}},
		"the first lease had run out":  {seen: []Seen{start(1, 9, 0, 10, Done), start(2, 9, 3_600_000, 3_600_010, Done)}},
		"a user on two calls":          {[]Seen{start(1, 8, 0, 10, Done), start(1, 9, 20, 30, Done)}, []string{"I2"}},
		"a user on one after another":  {seen: []Seen{start(1, 8, 0, 10, Done), end(1, 11, 12, Done), start(1, 9, 20, 30, Done)}},
		"an end whose fate is unknown": {seen: []Seen{start(1, 8, 0, 10, Done), end(1, 11, 12, Unknown), start(2, 8, 20, 30, Done)}},
		"a true refusal":               {seen: []Seen{start(1, 9, 0, 10, Done), start(2, 9, 12, 13, ClientBusy), end(1, 20, 30, Done)}},
		"refused by a start under way": {seen: []Seen{start(1, 9, 0, 10, Done), start(2, 9, 1, 2, ClientBusy)}},
		"refused by an end under way":  {seen: []Seen{start(1, 9, 0, 10, Done), end(1, 20, 30, Done), start(2, 9, 29, 31, ClientBusy)}},
		"refused after the end":        {[]Seen{start(1, 9, 0, 10, Done), end(1, 20, 30, Done), start(2, 9, 31, 32, ClientBusy)}, []string{"I4"}},
		"refused before the start":     {[]Seen{start(2, 9, 0, 1, ClientBusy), start(1, 9, 2, 10, Done)}, []string{"I4"}},
		"refused for oneself":          {[]Seen{start(1, 9, 0, 10, Done), start(1, 9, 12, 13, ClientBusy)}, []string{"I4"}},
		"refused for another client":   {[]Seen{start(1, 8, 0, 10, Done), start(2, 9, 12, 13, ClientBusy)}, []string{"I4"}},
		"refused by an unknown start":  {seen: []Seen{start(1, 9, 0, 10, Unknown), end(1, 11, 12, Done), start(2, 9, 20, 21, ClientBusy)}},
		"refused for a stranger":       {seen: []Seen{{Verb: Start, User: 1, Client: 9, Sent: ms(1), Got: ms(2), Outcome: ClientBusy, Other: true}}},
		"on a call, says the server":   {[]Seen{start(1, 9, 0, 1, UserBusy)}, []string{"I4"}},
		"on a call, truly":             {seen: []Seen{start(1, 9, 0, 1, Done), start(1, 8, 2, 3, UserBusy)}},
		"on a call, perhaps":           {seen: []Seen{start(1, 9, 0, 1, Unknown), start(1, 8, 2, 3, UserBusy)}},
		"rising tokens":                {seen: []Seen{token(start(1, 9, 0, 10, Done), 4), end(1, 20, 30, Done), token(start(2, 9, 31, 40, Done), 5)}},
		"a token again":                {[]Seen{token(start(1, 9, 0, 10, Done), 4), end(1, 20, 30, Done), token(start(2, 9, 31, 40, Done), 4)}, []string{"I6"}},
	}
}

// TestHistories tells each history in the order in which answers came, and judges
// it at the end or as it goes on.
func TestHistories(t *testing.T) {
	for name, tc := range histories() {
		t.Run(name, func(t *testing.T) {
			for _, often := range []bool{false, true} {
				c := NewChecker(lease)
				told := slices.Clone(tc.seen)
				slices.SortStableFunc(told, func(a, b Seen) int { return int(a.Got - b.Got) })
				for i, s := range told {
					c.Add(s)
					if often { // everything still to be told was sent by then
						before := ms(1 << 30)
						for _, later := range told[i+1:] {
							before = min(before, later.Sent)
						}
						c.Advance(before)
					}
				}
				c.Advance(never)
				var got []string
				for _, v := range c.Violations {
					got = append(got, v.Promise)
				}
				if !slices.Equal(got, tc.want) || c.Broken != len(tc.want) {
					t.Errorf("judged often: %v: broken %v, want %v: %v", often, got, tc.want, c.Violations)
				}
			}
		})
	}
}

// TestForgets: what is over and judged takes no memory.
func TestForgets(t *testing.T) {
	c := NewChecker(lease)
	for i := range 10_000 {
		at := 10 * i
		c.Add(token(start(1, i%3, at, at+1, Done), int64(i+1)))
		c.Add(end(1, at+2, at+3, Done))
		c.Advance(ms(at + 4))
	}
	kept := 0
	for _, l := range c.clients {
		kept += len(l.holds) + len(l.refusals)
	}
	if kept += len(c.users[1]); kept > 3 || c.Broken > 0 || c.Judged != 10_000 {
		t.Errorf("kept %d, broken %d, judged %d", kept, c.Broken, c.Judged)
	}
	// The highest token is still known.
	c.Add(token(start(2, 0, 200_000, 200_001, Done), 17))
	c.Advance(never)
	if c.Broken != 1 {
		t.Errorf("an old token went unnoticed")
	}
}
