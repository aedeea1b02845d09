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
	// kinds are the counters of published by type. They belong to the publishing goroutine,
	// and spare it a look-up by label for each event.
	kinds map[string]prometheus.Counter

	mu     sync.Mutex
	rows   int
	oldest time.Time // zero: the outbox was empty
	stored uint64    // bytes on the stream
	limit  int64     // of it
}

func newMetrics(registry prometheus.Registerer, now func() time.Time) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		now: now, kinds: map[string]prometheus.Counter{},
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
	for _, c := range []prometheus.Collector{m.published, m.duplicates, m.reduced, m.unreadable, m.failures, m.delay, m.pass} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the publisher's metrics: %w", err)
		}
	}
	return m, m.registerGauges(registry)
}

// registerGauges is for what is counted now and then.
func (m *metrics) registerGauges(registry prometheus.Registerer) error {
	rows := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_outbox_rows", Help: "Committed batches whose events are not published yet, as last counted (every few seconds); 0 where nothing is published (see dibs_unheard_event_bytes).",
	}, func() float64 { rows, _ := m.backlog(); return float64(rows) })
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_outbox_oldest_seconds", Help: "Age of the oldest batch whose events are not published yet; 0: there is none, or nothing is published.",
	}, func() float64 { _, age := m.backlog(); return age.Seconds() })
	stored := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_event_stream_bytes", Help: "What the event stream holds, as it last answered (it is asked four times a minute while there is a connection); 0: nothing, or it is not known yet.",
	}, func() float64 { stored, _ := m.size(); return float64(stored) })
	limit := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_event_stream_limit_bytes", Help: "What the event stream may hold before its oldest events are dropped; 0: anything, or it is not known yet.",
	}, func() float64 { _, limit := m.size(); return float64(limit) })
	for _, c := range []prometheus.Collector{rows, age, stored, limit} {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("registering the publisher's metrics: %w", err)
		}
	}
	return nil
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

// measured takes how full the stream is. A limit below 1 is none.
func (m *metrics) measured(stored uint64, limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stored, m.limit = stored, max(0, limit)
}

func (m *metrics) size() (stored uint64, limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stored, m.limit
}

func (m *metrics) acked(kind string, at time.Time, duplicate bool) {
	counter, known := m.kinds[kind]
	if !known {
		counter = m.counterOf(kind)
	}
	counter.Inc()
	if duplicate {
		m.duplicates.Inc()
		return
	}
	m.delay.Observe(max(0, m.now().Sub(at)).Seconds())
}

// counterOf is the counter of a type that was not published before. Types that can stand in a
// subject are a few; the others share one.
func (m *metrics) counterOf(kind string) prometheus.Counter {
	if !tokens(kind) {
		return m.published.WithLabelValues(unknownType)
	}
	m.kinds[kind] = m.published.WithLabelValues(kind)
	return m.kinds[kind]
}
