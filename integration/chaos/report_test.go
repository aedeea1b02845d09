package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// report is what a run found. Times of the JSON are nanoseconds.
type report struct {
	Seed    uint64        `json:"seed"`
	Asked   time.Duration `json:"asked_for"`
	Began   time.Time     `json:"began"`
	Lasted  time.Duration `json:"lasted"`
	Machine string        `json:"machine"`
	Version string        `json:"version,omitempty"`
	Parts   []part        `json:"parts"`
	// Missing are kinds of faults that should have come and did not.
	Missing []string `json:"missing"`

	shapes []shape
}

// part is what was found while the nodes were of one shape.
type part struct {
	Shape     shape         `json:"shape"`
	Lasted    time.Duration `json:"lasted"`
	Results   []conclusion  `json:"results"`
	Incidents []incident    `json:"incidents"`
	LeftOut   []string      `json:"left_out"` // faults that the machine does not allow
}

// conclusion is what was found in a deployment.
type conclusion struct {
	Deployment  string  `json:"deployment"`
	Histories   verdict `json:"histories"`
	Events      int     `json:"events"`
	EventsTwice int     `json:"events_twice"`

	Starts    int64 `json:"starts"`
	Ends      int64 `json:"ends"`
	Renewals  int64 `json:"renewals"`
	Reads     int64 `json:"reads"`
	Conflicts int64 `json:"conflicts"` // of these: refused as the rules are
	Lost      int64 `json:"lost"`      // not answered
	Refused   int64 `json:"refused"`   // refused because of a fault; nothing was done
	Repeated  int64 `json:"repeated"`  // sent again with a key that had been answered
	Restarts  int   `json:"restarts"`  // nodes that ended by themselves
	// Away is for how long in all nobody was served, in times of more than a second.
	Away time.Duration `json:"away"`

	Violations []string `json:"violations"`
	Notes      []string `json:"notes"`
}

// completeFrom is how long a run must be for every kind of fault to be due.
const completeFrom = 10 * time.Minute

func newReport(seed uint64, shapes []shape) *report {
	return &report{
		Seed: seed, Asked: *options.duration, Began: time.Now(), Version: *options.version, shapes: shapes,
		Machine: fmt.Sprintf("%d processors, %s on %s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version()),
	}
}

func (r *report) add(p part) { r.Parts = append(r.Parts, p) }

// replay is the command that makes the same faults again.
func (r *report) replay() string {
	return fmt.Sprintf("make chaos DURATION=%v SHAPE=%s SEED=%d", r.Asked, *options.shape, r.Seed)
}

// write says it: violations fail the test, the rest is logged, and every form
// of the report goes to folder, unless it is empty.
func (r *report) write(t *testing.T, folder string) {
	t.Helper()
	r.Lasted = time.Since(r.Began)
	r.Missing = missing(r.shapes, r.came())
	if len(r.Parts) < len(r.shapes) {
		t.Errorf("%d of %d parts came to their end", len(r.Parts), len(r.shapes))
	}
	for _, p := range r.Parts {
		for _, c := range p.Results {
			for _, v := range c.Violations {
				t.Errorf("%s, %s: %s", p.Shape, c.Deployment, v)
			}
		}
		for _, in := range p.Incidents {
			if !known(in.Kind) {
				t.Errorf("no family has %q", in.Kind)
			}
		}
	}
	text, table := r.markdown(), r.table()
	t.Log("\n" + table)
	if folder == "" {
		return
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	must(t, err)
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "chaos.json"), append(raw, '\n'), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, "chaos.md"), []byte(text), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, "chaos.txt"), []byte(table), 0o644))
}

// came is how many faults there were of each kind.
func (r *report) came() map[string]int {
	n := map[string]int{}
	for _, p := range r.Parts {
		for _, in := range p.Incidents {
			if !in.NotMade {
				n[in.Kind]++
			}
		}
	}
	return n
}

// incomplete reports whether a run that is long enough for every kind of fault
// lacks one.
func (r *report) incomplete() bool {
	return len(r.Parts) < len(r.shapes) || r.Lasted >= completeFrom && len(r.Missing) > 0
}

// faults is how many there were, and of how many kinds.
func (r *report) faults() (n, kinds int) {
	came := r.came()
	for _, times := range came {
		n += times
	}
	return n, len(came)
}

// total adds up what was found everywhere.
func (r *report) total() (all conclusion) {
	for _, p := range r.Parts {
		for i := range p.Results {
			all.plus(&p.Results[i])
		}
	}
	return all
}

// plus adds what was found elsewhere.
func (c *conclusion) plus(o *conclusion) {
	c.Histories.Teams += o.Histories.Teams
	c.Histories.Requests += o.Histories.Requests
	c.Histories.Undecided += o.Histories.Undecided
	c.Events += o.Events
	c.EventsTwice += o.EventsTwice
	c.Starts += o.Starts
	c.Ends += o.Ends
	c.Renewals += o.Renewals
	c.Reads += o.Reads
	c.Conflicts += o.Conflicts
	c.Lost += o.Lost
	c.Refused += o.Refused
	c.Repeated += o.Repeated
	c.Restarts += o.Restarts
	c.Away += o.Away
	c.Violations = append(c.Violations, o.Violations...)
	c.Notes = append(c.Notes, o.Notes...)
}
