package fleet

import (
	"testing"
	"time"
)

func TestAppointmentsDoNotDependOnAnswers(t *testing.T) {
	p := &Plan{Agents: 1, Clients: 1000, Think: time.Second, Talk: time.Second, WrapUp: time.Second, Time: time.Minute, Seed: 7}
	walk := func() (steps []Step) {
		a := NewAgent(p, 0)
		for range 50 {
			steps = append(steps, a.Next())
			a.Saw(Done)
		}
		return steps
	}
	first, again := walk(), walk()
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("step %d is %v and %v with the same seed", i, first[i], again[i])
		}
		if i > 0 && first[i].At < first[i-1].At {
			t.Errorf("step %d is meant before step %d", i, i-1)
		}
		if want := Start + End*Verb(i%2); first[i].Verb != want {
			t.Errorf("step %d is %s, want %s", i, first[i].Verb, want)
		}
	}
}

func TestWhatFollowsAnAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		plan Plan
		saw  []Outcome
		want Verb
	}{
		"a call is ended":                     {Plan{}, []Outcome{Done}, End},
		"after an end comes a start":          {Plan{}, []Outcome{Done, Done}, Start},
		"a refusal is followed by another":    {Plan{}, []Outcome{ClientBusy}, Start},
		"an unknown start is ended":           {Plan{}, []Outcome{Unknown}, End},
		"who seems to be on a call ends it":   {Plan{}, []Outcome{UserBusy}, End},
		"an unknown end is repeated":          {Plan{}, []Outcome{Done, Unknown}, End},
		"an end that was not taken, too":      {Plan{}, []Outcome{Done, NotNow}, End},
		"a second start":                      {Plan{Double: 1}, []Outcome{Done}, Double},
		"after the second start comes an end": {Plan{Double: 1}, []Outcome{Done, UserBusy}, End},
		"only refusals":                       {Plan{Load: Refusals}, []Outcome{Done}, Start},
		"only looks":                          {Plan{Load: Looks}, []Outcome{Done}, Look},
		"only lists":                          {Plan{Load: Lists}, []Outcome{Done}, List},
	} {
		t.Run(name, func(t *testing.T) {
			tc.plan.Agents, tc.plan.Clients = 1, 10
			a := NewAgent(&tc.plan, 0)
			for _, o := range tc.saw {
				a.Saw(o)
			}
			if got := a.Next().Verb; got != tc.want {
				t.Errorf("next is %s, want %s", got, tc.want)
			}
		})
	}
}

func TestZipfPrefersTheFirst(t *testing.T) {
	p := &Plan{Agents: 1, Clients: 1000, Zipf: 1.5, Load: Looks}
	a, first := NewAgent(p, 0), 0
	for range 1000 {
		if a.Next().Client == 0 {
			first++
		}
		a.Saw(Done)
	}
	if first < 200 {
		t.Errorf("the first client came %d times in 1000", first)
	}
}

func TestTalkEndsBeforeTheLease(t *testing.T) {
	p := &Plan{Agents: 1, Clients: 10, Talk: time.Hour, Lease: 30 * time.Second}
	a := NewAgent(p, 0)
	for range 100 {
		begun := a.Next().At
		a.Saw(Done)
		if talk := a.Next().At - begun; talk > 20*time.Second {
			t.Fatalf("a talk of %s with a lease of %s", talk, p.Lease)
		}
		a.Saw(Done)
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	good := Plan{Agents: 1, Clients: 1, Time: time.Second}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Plan){
		"no agents":        func(p *Plan) { p.Agents = 0 },
		"no clients":       func(p *Plan) { p.Clients = 0 },
		"no time":          func(p *Plan) { p.Time = 0 },
		"negative talk":    func(p *Plan) { p.Talk = -1 },
		"Zipf of one":      func(p *Plan) { p.Zipf = 1 },
		"more than all":    func(p *Plan) { p.Double = 1.1 },
		"a lease too long": func(p *Plan) { p.Lease = 25 * time.Hour },
	} {
		p := good
		spoil(&p)
		if p.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
