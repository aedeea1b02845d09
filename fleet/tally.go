package fleet

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest latency that is told apart, in microseconds.
const longest = int64(10 * time.Minute / time.Microsecond)

// Tally is what a run came to. Only what was meant for the time that is counted
// is in it.
type Tally struct {
	Plan    Plan
	Counted time.Duration // how long was counted
	// Calls were started and ended within that time.
	Calls int
	Verbs [Verbs]VerbTally
	// Refused is how many starts were refused for somebody else's call.
	Refused int
	// Details says of requests that went wrong what was answered, and how often.
	Details map[string]int

	Judged, Others, Broken int
	Violations             []Violation
}

// VerbTally is what one kind of request came to.
type VerbTally struct {
	Outcomes [outcomes]int
	// Latency counts microseconds, to three digits, of requests that were
	// answered: from when they were meant to be sent.
	Latency *hdrhistogram.Histogram
}

// Count is how many requests came to o.
func (v *VerbTally) Count(o Outcome) int { return v.Outcomes[o] }

// Total is how many requests there were.
func (v *VerbTally) Total() int {
	n := 0
	for _, k := range v.Outcomes {
		n += k
	}
	return n
}

// At returns the latency that a share of the answers (0 to 100) did not exceed.
func (v *VerbTally) At(percent float64) time.Duration {
	return time.Duration(v.Latency.ValueAtQuantile(percent)) * time.Microsecond
}

// PerSecond is n in the time that was counted.
func (t *Tally) PerSecond(n int) float64 { return float64(n) / t.Counted.Seconds() }

// Wrong is how many requests had no answer, or one that nobody asked for.
func (t *Tally) Wrong() int {
	n := 0
	for i := range t.Verbs {
		v := &t.Verbs[i]
		n += v.Count(Unknown) + v.Count(Failed)
	}
	return n
}

const detailsKept = 20 // kinds

func newTally(p *Plan) *Tally {
	t := &Tally{Plan: *p, Counted: p.Time, Details: map[string]int{}}
	for i := range t.Verbs {
		t.Verbs[i].Latency = hdrhistogram.New(1, longest, 3)
	}
	return t
}

// add counts one request.
func (t *Tally) add(s Seen, detail string) {
	p := &t.Plan
	if s.Verb == End && s.Outcome == Done && s.Got >= p.Begin() && s.Got < p.End() {
		t.Calls++
	}
	if s.Meant < p.Begin() || s.Meant >= p.End() {
		return
	}
	v := &t.Verbs[s.Verb]
	v.Outcomes[s.Outcome]++
	if s.Outcome == ClientBusy {
		t.Refused++
	}
	if s.Outcome != Unknown {
		_ = v.Latency.RecordValue(min(max(1, (s.Got-s.Meant).Microseconds()), longest)) // within its bounds
	}
	if detail != "" && (len(t.Details) < detailsKept || t.Details[detail] > 0) {
		t.Details[detail]++
	}
}
