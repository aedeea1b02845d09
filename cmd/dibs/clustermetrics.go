package main

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/placement/membership"
)

// clusterMetrics tells Prometheus how this process does as a node of several.
type clusterMetrics struct {
	beats  prometheus.Histogram
	missed prometheus.Counter
	fences prometheus.Counter
	views  prometheus.Counter
	remote *prometheus.CounterVec
	took   prometheus.Histogram
}

func newClusterMetrics(registry *prometheus.Registry) (*clusterMetrics, error) {
	m := &clusterMetrics{
		beats: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_cluster_heartbeat_seconds", Help: "How long a heartbeat took; two seconds without one that goes through fence the node.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 12),
		}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_cluster_heartbeat_failures_total", Help: "Heartbeats that did not go through.",
		}),
		fences: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_cluster_fences_total", Help: "How often this node lost touch with the cluster, stopped its actors and joined anew.",
		}),
		views: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dibs_cluster_view_changes_total", Help: "How often it changed which actors live at this node.",
		}),
		remote: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dibs_cluster_remote_requests_total", Help: "Requests to other nodes: answered, not_sent (nobody got it), lost (what became of it is not known).",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dibs_cluster_remote_seconds", Help: "How long another node took to answer.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
	}
	for _, result := range []string{"answered", "not_sent", "lost"} {
		m.remote.WithLabelValues(result) // an alert cannot see a first increase from nothing
	}
	for _, c := range []prometheus.Collector{m.beats, m.missed, m.fences, m.views, m.remote, m.took} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// watch adds what can be asked for.
func (m *clusterMetrics) watch(registry *prometheus.Registry, node *membership.Node) {
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "dibs_cluster_members", Help: "Nodes that this one sees, itself included.",
		}, func() float64 { return float64(len(node.Members())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "dibs_cluster_valid", Help: "1 while this node may answer as a member, 0 while it joins, is fenced or leaves.",
		}, func() float64 {
			if node.Ready() == nil {
				return 1
			}
			return 0
		}),
	)
}

// Beat implements [membership.Observer].
func (m *clusterMetrics) Beat(took time.Duration, err error) {
	m.beats.Observe(took.Seconds())
	if err != nil {
		m.missed.Inc()
	}
}

// Fenced implements [membership.Observer].
func (m *clusterMetrics) Fenced() { m.fences.Inc() }

// ViewChanged implements [membership.Observer].
func (m *clusterMetrics) ViewChanged() { m.views.Inc() }

// Asked implements [membership.Observer].
func (m *clusterMetrics) Asked(took time.Duration, err error) {
	switch {
	case err == nil:
		m.remote.WithLabelValues("answered").Inc()
		m.took.Observe(took.Seconds())
	case errors.Is(err, placement.ErrNotSent):
		m.remote.WithLabelValues("not_sent").Inc()
	default:
		m.remote.WithLabelValues("lost").Inc()
	}
}
