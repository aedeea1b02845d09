package httpapi

import (
	"fmt"
	"net/http"
	"strconv"

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
	}, func() float64 { return float64(len(a.inFlight)) })
	streams := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_http_streams",
		Help: "Streams of live events that are open; the limit refuses more.",
	}, func() float64 { return float64(a.readers.count()) })
	for _, c := range []prometheus.Collector{a.requests, inFlight, streams} {
		if err := a.Metrics.Register(c); err != nil {
			return fmt.Errorf("httpapi: registering metrics: %w", err)
		}
	}
	return nil
}

func (a *API) metricsHandler() http.Handler {
	return promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// statusLabel avoids an allocation for the statuses of the hot path.
func statusLabel(status int) string {
	switch status {
	case http.StatusOK:
		return "200"
	case http.StatusConflict:
		return "409"
	}
	return strconv.Itoa(status)
}
