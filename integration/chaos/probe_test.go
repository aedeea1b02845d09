package chaos

import (
	"context"
	"slices"
	"sync"
	"time"
)

// probe starts and ends the same call again and again through one node, to see
// how long nobody is served. What it is told is not recorded: an answer is an
// answer, whether a call was started or was still on.
type probe struct {
	node int
	pair pair
	api  *api
	book *book
	log  *serviceLog
}

const (
	probeEvery    = 100 * time.Millisecond
	probePatience = 5 * time.Second
	// probesPerNode use different users, which are at home in different places.
	probesPerNode = 3
)

func (p *probe) run(ctx context.Context) {
	for turn := 0; pause(ctx, probeEvery); turn++ {
		what := change{Action: "start_call", UserID: p.pair.user.String(), ClientID: p.pair.client.String()}
		if turn%2 == 1 {
			what = change{Action: "end_call", UserID: p.pair.user.String()}
		}
		sent := p.book.now()
		_, outcome, err := p.api.try(context.WithoutCancel(ctx), p.node, what.request(""))
		p.book.defect(err)
		if outcome == answered {
			p.log.add(served{node: p.node, sent: sent, answered: p.book.now()})
		} else {
			p.log.miss(sent)
		}
	}
}

// served is a request that was answered.
type served struct {
	node           int
	sent, answered time.Duration
}

// serviceLog is what probes were answered.
type serviceLog struct {
	mu     sync.Mutex
	all    []served        // guarded by mu
	missed []time.Duration // guarded by mu: when those were sent that were not answered
}

func (l *serviceLog) add(s served) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *serviceLog) miss(sent time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed = append(l.missed, sent)
}

// failures is how many requests failed that were sent in a time.
func (l *serviceLog) failures(begin, end time.Duration) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.missed {
		if at >= begin && at <= end {
			n++
		}
	}
	return n
}

// between returns what was answered in a time, in the order of answers.
func (l *serviceLog) between(begin, end time.Duration) []served {
	l.mu.Lock()
	defer l.mu.Unlock()
	var some []served
	for _, s := range l.all {
		if s.answered >= begin && s.answered <= end {
			some = append(some, s)
		}
	}
	slices.SortFunc(some, func(a, b served) int { return int(a.answered - b.answered) })
	return some
}

// probes returns the probes of a deployment, some for each node.
func (d *deployment) probes(log *serviceLog) (all []*probe) {
	way := newAPI(d.t, d, d.token, probePatience)
	for i, p := range d.probed {
		all = append(all, &probe{node: i % len(d.nodes), pair: p, api: way, book: d.book, log: log})
	}
	return all
}

// silence is the longest time without any answer that lies in or reaches into a
// time.
func (l *serviceLog) silence(begin, end time.Duration) (longest time.Duration) {
	last := begin
	for _, s := range l.between(begin, end) {
		longest = max(longest, s.answered-last)
		last = s.answered
	}
	return max(longest, end-last)
}

// away is for how long in all nobody was served between the first answer and the last,
// counting times of more than a second each.
func (l *serviceLog) away(end time.Duration) (total time.Duration) {
	last := end
	for _, s := range l.between(0, end) {
		if gap := s.answered - last; gap > time.Second {
			total += gap
		}
		last = s.answered
	}
	return total
}

// slowest is how long the slowest request took that was sent in a time to a
// node that is not among those left out.
func (l *serviceLog) slowest(begin, end time.Duration, leftOut []int) (longest time.Duration) {
	for _, s := range l.between(begin, end+probePatience) {
		if s.sent >= begin && s.sent <= end && !slices.Contains(leftOut, s.node) {
			longest = max(longest, s.answered-s.sent)
		}
	}
	return longest
}
