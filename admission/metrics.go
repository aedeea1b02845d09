package admission

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Register shows what the limiter does.
func (l *Limiter) Register(registry prometheus.Registerer) error {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	all := []prometheus.Collector{
		gauge("dibs_admission_limit", "Starts and ends that may be in flight before starts are refused; it follows how long they take.",
			func() float64 { return float64(l.limit.Load()) }),
		gauge("dibs_admission_in_flight", "Starts and ends that are in flight.",
			func() float64 { return float64(l.commands.Load()) }),
		gauge("dibs_admission_target_seconds", "How long starts and ends may take on average before the limit is lowered.",
			func() float64 { return float64(l.target.Load()) / 1e9 }),
		gauge("dibs_admission_wait_seconds", "How long whatever is to run waits for a processor on average; above half a millisecond, while starts are refused, the limit is lowered (above more where the store is far away).",
			func() float64 { return float64(l.waited.Load()) / 1e9 }),
	}
	for c, class := range []string{Start: "start", End: "end", Aside: "aside", Part: "part", Ask: "ask"} {
		for v, result := range []string{admitted: "admitted", late: "late", full: "full"} {
			all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "dibs_admission_requests_total",
				Help: "Requests, by whether they were admitted: late, because those in flight take too long already; " +
					"full, because as many are in flight as memory is planned for.",
				ConstLabels: prometheus.Labels{"class": class, "result": result},
			}, func() float64 { return float64(l.verdicts[c][v].Load()) }))
		}
	}
	for _, c := range all {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("registering the metrics of admission: %w", err)
		}
	}
	return nil
}
