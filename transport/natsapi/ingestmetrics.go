package natsapi

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// result is what became of an event, for the metrics.
type result string

const (
	resultApplied  result = "applied"
	resultNothing  result = "nothing" // it was old news: the call is over, or is in progress already
	resultRepeated result = "repeated"
	resultRefused  result = "refused"
	resultRetried  result = "retried" // put back for another try
	resultDead     result = "dead"
	// resultPostponed: put back because others of its user are before it, or
	// because it got no answer.
	resultPostponed result = "postponed"
)

// ingestMetrics tells Prometheus what becomes of call events.
type ingestMetrics struct {
	events  *prometheus.CounterVec
	waits   prometheus.Counter
	delay   prometheus.Histogram
	pending atomic.Int64 // in the stream, not with a node
	unacked atomic.Int64 // with a node, or waiting for another try
	letters atomic.Int64
	paused  prometheus.GaugeFunc
}

// unknownLetters: nobody has counted the dead letters yet.
const unknownLetters = -1

// newIngestMetrics registers the metrics. taking reports whether call events are
// taken.
func newIngestMetrics(registry prometheus.Registerer, taking func() bool) (*ingestMetrics, error) {
	m := &ingestMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dibs_ingest_events_total", Help: "Call events of other services, by what became of them.",
		}, []string{"result"}),
		waits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_ingest_store_waits_total", Help: "How often an event had to wait because the store or the engine could not take it.",
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_ingest_delay_seconds", Help: "Time from an event's arrival in the stream to its effect.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600},
		}),
	}
	for _, r := range []result{resultApplied, resultNothing, resultRepeated, resultRefused, resultRetried, resultPostponed, resultDead} {
		m.events.WithLabelValues(string(r))
	}
	m.letters.Store(unknownLetters)
	m.paused = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_ingest_paused", Help: "1 while no call events are taken, because the store cannot be reached.",
	}, func() float64 {
		if taking() {
			return 0
		}
		return 1
	})
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	for _, c := range []prometheus.Collector{
		m.events, m.waits, m.delay,
		gauge("dibs_ingest_pending", "Call events in the stream that no node has taken yet, as last asked (every few seconds).",
			func() float64 { return float64(m.pending.Load()) }),
		gauge("dibs_ingest_unacknowledged", "Call events that are with a node or wait for another try.",
			func() float64 { return float64(m.unacked.Load()) }),
		gauge("dibs_dead_letters", "Call events that could not be applied and wait for a person ('dibs dead list').",
			func() float64 { return float64(max(0, m.letters.Load())) }),
		m.paused,
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of call events: %w", err)
		}
	}
	return m, nil
}

func (m *ingestMetrics) count(r result) { m.events.WithLabelValues(string(r)).Inc() }
