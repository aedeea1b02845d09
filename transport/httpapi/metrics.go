package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// registerMetrics makes one histogram, which counts requests too. Its labels
// are bounded: routes of the table, their methods, statuses that we send.
func (a *API) registerMetrics() error {
	a.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "dibs_http_request_duration_seconds",
		Help:    "Time from the first byte of a request to the last of its answer, by route and status.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "code"})
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_http_requests_in_flight",
		Help: "Requests in the engine or the store; the limit refuses more.",
	}, func() float64 { return float64(a.inFlight.Load()) })
	streams := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_http_streams",
		Help: "Streams of live events that are open; the limit refuses more.",
	}, func() float64 { return float64(a.readers.count()) })
	large := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_http_large_answers_bytes",
		Help: "Memory held for large pages of lists that are being read; the limit refuses more.",
	}, func() float64 { return float64(a.larder.holding()) })
	for _, c := range []prometheus.Collector{a.requests, inFlight, streams, large} {
		if err := a.Metrics.Register(c); err != nil {
			return fmt.Errorf("httpapi: registering metrics: %w", err)
		}
	}
	return nil
}

func (a *API) metricsHandler() http.Handler {
	return promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// byStatus is the part of the histogram for one route. It remembers what it looked
// up: a status is looked up once, and observed a million times.
type byStatus struct {
	all   prometheus.ObserverVec
	known [600]atomic.Pointer[prometheus.Observer]
}

func (b *byStatus) of(status int) prometheus.Observer {
	if status < 0 || status >= len(b.known) {
		return b.all.WithLabelValues(strconv.Itoa(status))
	}
	if found := b.known[status].Load(); found != nil {
		return *found
	}
	found := b.all.WithLabelValues(strconv.Itoa(status))
	b.known[status].Store(&found)
	return found
}
