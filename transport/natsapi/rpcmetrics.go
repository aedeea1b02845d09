package natsapi

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"
)

// rpcMetrics tells Prometheus, and who asks for `nats micro stats`, how
// requests are served.
type rpcMetrics struct {
	seconds *prometheus.HistogramVec
	dropped *prometheus.CounterVec

	mu    sync.Mutex
	tally map[string]*EndpointStats // by name of the endpoint
}

// EndpointStats is the data field of an endpoint's statistics. The client
// library counts when a request was handed on; this counts when it was answered.
type EndpointStats struct {
	Answered int            `json:"answered"`
	Refused  map[string]int `json:"refused,omitempty"` // by status
	// AverageTime is from taking a request in to answering it.
	AverageTime time.Duration `json:"average_time"` // nanoseconds

	total time.Duration
}

func newRPCMetrics(registry prometheus.Registerer, inFlight func() int) (*rpcMetrics, error) {
	m := &rpcMetrics{
		tally: map[string]*EndpointStats{},
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "dibs_rpc_request_duration_seconds",
			Help:    "Time from taking in a request over NATS to its answer, by endpoint and status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"endpoint", "code"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dibs_rpc_requests_dropped_total",
			Help: "Requests over NATS without an answer, by reason: reply, because no answer may be sent where it was asked for; " +
				"queue, each time that the requests waiting to be taken in became too many.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"reply", "queue"} {
		m.dropped.WithLabelValues(reason)
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_rpc_requests_in_flight", Help: "Requests over NATS in the engine; the limit refuses more.",
	}, func() float64 { return float64(inFlight()) })
	for _, c := range []prometheus.Collector{m.seconds, m.dropped, gauge} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of requests over NATS: %w", err)
		}
	}
	return m, nil
}

func (m *rpcMetrics) served(endpoint string, status int, took time.Duration) {
	label := "200" // the hot path, without an allocation
	if status != http.StatusOK {
		label = strconv.Itoa(status)
	}
	m.seconds.WithLabelValues(endpoint, label).Observe(took.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tally[endpoint]
	if !ok {
		t = &EndpointStats{Refused: map[string]int{}}
		m.tally[endpoint] = t
	}
	t.Answered++
	t.total += took
	if status != http.StatusOK {
		t.Refused[label]++
	}
}

// stats is asked for by the micro service, which encodes what it gets at once.
func (m *rpcMetrics) stats(e *micro.Endpoint) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := EndpointStats{Refused: map[string]int{}}
	if t, ok := m.tally[e.Name]; ok {
		out.Answered, out.AverageTime = t.Answered, t.total/time.Duration(t.Answered)
		for status, n := range t.Refused {
			out.Refused[status] = n
		}
	}
	return out
}
