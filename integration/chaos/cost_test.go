package chaos

import "time"

// cost is what the faults of a kind cost.
type cost struct {
	n, missed int
	// The rest are the longest.
	broken   time.Duration
	silences map[shape]time.Duration // for how long nobody was served
	well     time.Duration           // from the repair until all was well
	slowest  time.Duration
}

// costs are those of every kind. Faults that came two at a time count only as having
// been: what they cost is not known of each.
func (r *report) costs() map[string]*cost {
	kinds := map[string]*cost{}
	for _, p := range r.Parts {
		for i := range p.Incidents {
			if in := &p.Incidents[i]; !in.NotMade {
				if kinds[in.Kind] == nil {
					kinds[in.Kind] = &cost{silences: map[shape]time.Duration{}}
				}
				kinds[in.Kind].add(p.Shape, in)
			}
		}
	}
	return kinds
}

func (c *cost) add(s shape, in *incident) {
	c.n++
	c.broken = max(c.broken, in.Repaired-in.Begun)
	if in.Together {
		return
	}
	c.missed += in.Missed
	c.well = max(c.well, in.Well-in.Repaired)
	c.slowest = max(c.slowest, in.Slowest)
	c.silences[s] = max(c.silences[s], in.Silence)
}

// silence is for how long nobody was served, wherever that was longest.
func (c *cost) silence() (longest time.Duration) {
	for _, d := range c.silences {
		longest = max(longest, d)
	}
	return longest
}
