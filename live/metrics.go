package live

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	drift      *prometheus.CounterVec
	reconciled prometheus.Histogram
	failed     prometheus.Counter
	// Changes, by where the model heard of them.
	fromNode, fromStream, fromStore prometheus.Counter
	cut                             prometheus.Counter
	snapshots                       prometheus.Counter
}

// newMetrics registers what the model tells Prometheus.
func newMetrics(m *Model, to prometheus.Registerer) (*metrics, error) {
	changes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dibs_live_changes_total", Help: "Changes of calls that the read model took, by where it heard of them first.",
	}, []string{"source"})
	x := &metrics{
		fromNode: changes.WithLabelValues("node"), fromStream: changes.WithLabelValues("stream"), fromStore: changes.WithLabelValues("store"),
		drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dibs_live_drift_total",
			Help: "Calls of which the read model differed from the store: missing, or over but still shown. Each was repaired.",
		}, []string{"kind"}),
		reconciled: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_live_reconcile_seconds", Help: "How long it took to read the store and compare.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_live_reconcile_failures_total", Help: "How often the store could not be read for it.",
		}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_live_readers_cut_total", Help: "Readers of live events that fell too far behind.",
		}),
		snapshots: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_live_snapshots_total", Help: "Snapshots that readers were sent.",
		}),
	}
	for _, kind := range []string{"missing", "over"} {
		x.drift.WithLabelValues(kind) // an alert cannot see a first increase from nothing
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		x.drift, x.reconciled, x.failed, changes, x.cut, x.snapshots,
		gauge("dibs_live_users", "Active users in the read model.", func() int { n, _ := m.size(); return n }),
		gauge("dibs_live_calls", "Calls in progress in the read model.", func() int { _, n := m.size(); return n }),
		gauge("dibs_live_readers", "Readers of live events.", m.hub.readerCount),
		gauge("dibs_live_stale", "1 while events of other nodes may be missing.", func() int {
			if m.isStale() {
				return 1
			}
			return 0
		}),
	} {
		errs = append(errs, to.Register(c))
	}
	return x, errors.Join(errs...)
}
