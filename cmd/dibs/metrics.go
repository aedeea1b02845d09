package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/actors"
)

// engineMetrics tells Prometheus what the engine does.
type engineMetrics struct {
	writes    prometheus.Histogram
	commits   prometheus.Histogram
	failures  prometheus.Counter
	panics    *prometheus.CounterVec
	reachable prometheus.Gauge
}

func newEngineMetrics(registry *prometheus.Registry) *engineMetrics {
	m := &engineMetrics{
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_commit_writes", Help: "Claims, releases and renewals a transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_commit_seconds", Help: "How long a transaction took.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_commit_failures_total", Help: "Transactions that failed or whose outcome is unknown.",
		}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dibs_actor_panics_total", Help: "Actors that panicked and started anew. Each is a defect.",
		}, []string{"kind"}),
		reachable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dibs_store_reachable", Help: "1 while commands are taken, 0 while they are refused because the store does not answer.",
		}),
	}
	for _, kind := range []string{"user", "client"} {
		m.panics.WithLabelValues(kind) // an alert cannot see a first increase from nothing
	}
	registry.MustRegister(m.writes, m.commits, m.failures, m.panics, m.reachable)
	return m
}

// watch adds how many actors are awake.
func (m *engineMetrics) watch(registry *prometheus.Registry, engine *actors.System) {
	gauge := func(kind string, count func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "dibs_actors_awake", Help: "Actors in memory.", ConstLabels: prometheus.Labels{"kind": kind},
		}, func() float64 { return float64(count()) })
	}
	registry.MustRegister(
		gauge("user", func() int { users, _ := engine.Awake(); return users }),
		gauge("client", func() int { _, clients := engine.Awake(); return clients }),
	)
}

// BatchCommitted implements actors.Observer.
func (m *engineMetrics) BatchCommitted(writes int, took time.Duration, err error) {
	m.writes.Observe(float64(writes))
	m.commits.Observe(took.Seconds())
	if err != nil {
		m.failures.Inc()
	}
}

// ActorFailed implements actors.Observer.
func (m *engineMetrics) ActorFailed(kind string) { m.panics.WithLabelValues(kind).Inc() }

// StoreReachable implements actors.Observer.
func (m *engineMetrics) StoreReachable(reachable bool) {
	if reachable {
		m.reachable.Set(1)
	} else {
		m.reachable.Set(0)
	}
}

// observer also tells the read model when the store answers again: what was being committed when
// it went away may be done, and nobody has said so.
type observer struct {
	*engineMetrics
	model interface{ RefreshUsers() }
}

// StoreReachable implements actors.Observer.
func (o observer) StoreReachable(reachable bool) {
	o.engineMetrics.StoreReachable(reachable)
	if reachable {
		o.model.RefreshUsers()
	}
}
