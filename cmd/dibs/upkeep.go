package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/persistence"
)

const (
	upkeepEvery = time.Minute
	pruneLimit  = 5000 // rows of a kind a transaction, so that nobody waits for it
	// historyLimit is smaller, because the rows of calls have more indexes.
	historyLimit = 1000
	// upkeepShare: for one part of the time that it works it leaves the store alone
	// for so many, however much there is to do.
	upkeepShare = 4
)

// upkeep forgets what has passed its time, a little at a time, beside everything
// else. What cannot be done now is done later.
type upkeep struct {
	store   persistence.Store
	reports time.Duration // how long call events are remembered
	retain  time.Duration // how long calls and their logs are kept; 0: for ever
	unheard *unheard      // status events that nobody can hear; nil: they are published
	removed *prometheus.CounterVec
	waiting prometheus.Gauge // bytes of unheard
	log     *slog.Logger
}

// What is removed, as the metric says it.
const (
	removedKeys     = "keys_and_sessions"
	removedReports  = "reports"
	removedCalls    = "calls"
	removedLogs     = "call_logs"
	silencedCalls   = "texts_of_calls"
	removedUnheard  = "unheard_events"
	removedRowsName = "dibs_pruned_rows_total"
)

func newUpkeep(store persistence.Store, reports, retain time.Duration, registry prometheus.Registerer, log *slog.Logger) *upkeep {
	u := &upkeep{store: store, reports: reports, retain: retain, log: log, removed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: removedRowsName, Help: "Rows that this node removed because their time has passed; of the calls that stay for their token, the texts.",
	}, []string{"what"})}
	u.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dibs_unheard_event_bytes", Help: "Status events that wait in the outbox because no other program can reach the NATS inside this one, as last measured (every minute); 0: they are published.",
	})
	for _, what := range []string{removedKeys, removedReports, removedCalls, removedLogs, silencedCalls, removedUnheard} {
		u.removed.WithLabelValues(what)
	}
	registry.MustRegister(u.removed, u.waiting)
	return u
}

// start begins; all of it ends with ctx.
func (u *upkeep) start(ctx context.Context, run func(func())) {
	run(func() { u.keep(ctx, "keys and sessions", u.pruneKeys) })
	run(func() { u.keep(ctx, "call events", u.pruneReports) })
	if u.retain > 0 {
		run(func() { u.keep(ctx, "calls and logs", u.pruneHistory) })
	}
	if u.unheard != nil {
		run(func() { u.keep(ctx, "status events", u.trimUnheard) })
	}
}

// keep calls prune now and every minute, and while there is more to do again and
// again, with rests.
func (u *upkeep) keep(ctx context.Context, what string, prune func(context.Context) (more bool, err error)) {
	for {
		began := time.Now()
		more, err := prune(ctx)
		if err != nil && ctx.Err() == nil {
			u.log.Warn("old "+what+" could not be forgotten; trying again later", "cause", err)
		}
		pause := upkeepEvery
		if more && err == nil {
			pause = min(upkeepEvery, upkeepShare*time.Since(began))
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (u *upkeep) pruneKeys(ctx context.Context) (more bool, err error) {
	n, err := u.store.Prune(ctx, pruneLimit)
	u.count(removedKeys, n)
	return n >= pruneLimit, err
}

// pruneReports forgets events that were reported long ago. What waits in a stream
// meanwhile does no harm: no start is taken that is older.
func (u *upkeep) pruneReports(ctx context.Context) (more bool, err error) {
	n, err := u.store.PruneReports(ctx, u.reports+rememberMore, pruneLimit)
	u.count(removedReports, n)
	return n >= pruneLimit, err
}

func (u *upkeep) pruneHistory(ctx context.Context) (more bool, err error) {
	p, err := u.store.PruneHistory(ctx, u.retain, historyLimit)
	u.count(removedCalls, p.Calls)
	u.count(removedLogs, p.Logs)
	u.count(silencedCalls, p.Silenced)
	return p.More, err
}

func (u *upkeep) trimUnheard(ctx context.Context) (more bool, err error) {
	rows, more, err := u.unheard.trim(ctx)
	u.count(removedUnheard, rows)
	u.waiting.Set(float64(u.unheard.bytes))
	return more, err
}

func (u *upkeep) count(what string, n int) { u.removed.WithLabelValues(what).Add(float64(n)) }
