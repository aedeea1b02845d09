package admission

import (
	"math"
	"runtime/metrics"
	"time"
)

// waits tells how long goroutines that could run waited for a processor. It belongs to
// one goroutine at a time.
type waits struct {
	sample [1]metrics.Sample
	before []uint64 // counts of the histogram when it was asked last
}

func newWaits() *waits {
	w := &waits{}
	w.sample[0].Name = "/sched/latencies:seconds"
	w.mean()
	return w
}

// mean is how long they waited on average since it was asked last; zero if this Go does not
// tell.
func (w *waits) mean() time.Duration {
	metrics.Read(w.sample[:])
	if w.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := w.sample[0].Value.Float64Histogram()
	if len(w.before) != len(h.Counts) {
		w.before = make([]uint64, len(h.Counts))
	}
	var all uint64
	var sum float64
	for i, count := range h.Counts {
		more := count - w.before[i]
		w.before[i] = count
		if more > 0 {
			all += more
			sum += float64(more) * middle(h.Buckets[i], h.Buckets[i+1])
		}
	}
	if all == 0 {
		return 0
	}
	return time.Duration(sum / float64(all) * float64(time.Second))
}

// middle is that of a bucket; the first and the last one have an end alone.
func middle(from, to float64) float64 {
	switch {
	case math.IsInf(from, -1):
		return to
	case math.IsInf(to, 1):
		return from
	}
	return (from + to) / 2
}
