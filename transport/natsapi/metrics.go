package natsapi

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tells Prometheus what the publisher does.
type metrics struct {
	published  *prometheus.CounterVec
	duplicates prometheus.Counter
	reduced    prometheus.Counter
	unreadable prometheus.Counter
	failures   prometheus.Counter
	delay      prometheus.Histogram
	pass       prometheus.Histogram

	now func() time.Time

	mu     sync.Mutex
	rows   int
	oldest time.Time // zero: the outbox was empty
}

func newMetrics(registry prometheus.Registerer, now func() time.Time) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		now: now,
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dibs_events_published_total", Help: "Events that JetStream acknowledged, duplicates included.",
		}, []string{"type"}),
		duplicates: counter("dibs_events_duplicate_total", "Events that the stream had already: published by another node, or before a crash."),
		reduced:    counter("dibs_events_reduced_total", "Events published without names and texts, because they could not be published as they were. Each is a defect or a limit set too low."),
		unreadable: counter("dibs_outbox_unreadable_total", "Rows of the outbox that could not be read as a whole, and were set aside in the table outbox_unreadable. Each is a defect."),
		failures:   counter("dibs_event_publish_failures_total", "Passes of the publisher that failed; what they left is tried again."),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_event_publish_delay_seconds", Help: "Time from an event, by the store's clock, to its acknowledgement by JetStream, by ours.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600},
		}),
		pass: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_event_publish_pass_seconds", Help: "How long a pass took: reading rows, publishing their events, clearing them.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
	}
	rows := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_outbox_rows", Help: "Committed batches whose events are not published yet, as last counted (every few seconds).",
	}, func() float64 { rows, _ := m.backlog(); return float64(rows) })
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_outbox_oldest_seconds", Help: "Age of the oldest batch whose events are not published yet; 0: there is none.",
	}, func() float64 { _, age := m.backlog(); return age.Seconds() })
	for _, c := range []prometheus.Collector{m.published, m.duplicates, m.reduced, m.unreadable, m.failures, m.delay, m.pass, rows, age} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the publisher's metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) counted(rows int, oldest time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows, m.oldest = rows, oldest
}

// backlog returns the outbox as it was last counted; its age goes on.
func (m *metrics) backlog() (rows int, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == 0 || m.oldest.IsZero() {
		return m.rows, 0
	}
	return m.rows, max(0, m.now().Sub(m.oldest))
}

func (m *metrics) acked(kind string, at time.Time, duplicate bool) {
	if !tokens(kind) {
		kind = unknownType
	}
	m.published.WithLabelValues(kind).Inc()
	if duplicate {
		m.duplicates.Inc()
		return
	}
	m.delay.Observe(max(0, m.now().Sub(at)).Seconds())
}
