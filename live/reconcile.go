package live

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

const (
	readTimeout = 20 * time.Second
	// retryEvery is for a truth that is owed and could not be read.
	retryEvery = time.Second
	// minPause is between reconciliations that were asked for.
	minPause = 200 * time.Millisecond
	// doubtFor is how long the stream may bring no old news, after events were missed,
	// until none is expected any more.
	doubtFor = time.Minute
)

// RefreshUsers makes the model read the store soon, because somebody was added,
// renamed or disabled. It does not wait for it.
func (m *Model) RefreshUsers() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// keepTrue reconciles at once, then every 30 seconds and when it is asked to.
func (m *Model) keepTrue(ctx context.Context) {
	failed := false
	for {
		err := m.reconcile(ctx)
		if ctx.Err() != nil {
			return
		}
		if failed != (err != nil) {
			failed = err != nil
			m.logReading(err)
		}
		if !m.pause(ctx, m.untilNext(err)) {
			return
		}
	}
}

func (m *Model) logReading(err error) {
	if err != nil {
		m.cfg.Log.Warn("the store cannot be read to check the live status; trying again", "cause", err)
		return
	}
	m.cfg.Log.Info("the store can be read again to check the live status")
}

func (m *Model) untilNext(err error) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && (m.missed != m.healed || !m.loaded) {
		return min(retryEvery, m.cfg.ReconcileEvery)
	}
	return m.cfg.ReconcileEvery
}

// pause waits for d, or until somebody asks; it is false when ctx ended.
func (m *Model) pause(ctx context.Context, d time.Duration) bool {
	least := time.NewTimer(min(minPause, d))
	defer least.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-least.C:
	}
	rest := time.NewTimer(d - min(minPause, d))
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-rest.C:
	case <-m.kick:
	}
	return true
}

// reconcile reads the truth and repairs what differs. It is called by one
// goroutine at a time.
func (m *Model) reconcile(ctx context.Context) (err error) {
	began := m.cfg.Now()
	at := m.mark()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.since = nil
		if err != nil {
			m.metrics.failed.Inc()
		}
	}()
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	users, err := m.cfg.Truth.ActiveUsers(reading)
	if err != nil {
		return err
	}
	calls, err := m.cfg.Truth.CallsInProgress(reading)
	if err != nil {
		return err
	}
	if !at.owed && !at.first {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(m.cfg.Settle):
		}
	}
	m.settle(at, began, users, calls)
	return nil
}

// settle makes the model what was read.
func (m *Model) settle(at mark, began time.Time, users []messages.User, calls []messages.LiveCall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	made := m.state.correct(users, calls, at.since, began)
	m.publish(made.changes, m.metrics.fromStore)
	m.publishRenamed(made.renamed)
	m.loaded, m.healed = true, at.missed
	if at.owed {
		m.madeUp = began
	}
	switch {
	case at.owed, at.first: // what was committed before may only come now
		m.state.doubt = began
	case began.Sub(m.state.doubt) > doubtFor && began.Sub(m.doubted) > doubtFor:
		m.state.doubt = time.Time{}
	}
	m.metrics.reconciled.Observe(m.cfg.Now().Sub(began).Seconds())
	switch {
	case at.first:
	case at.gap:
		m.hub.reset()
	case at.lost || m.lost || began.Sub(m.madeUp) <= doubtFor: // it was to be expected, and is no drift
	case made.drift.sum() > 0:
		d := made.drift
		m.metrics.drift.WithLabelValues("missing").Add(float64(d.missing))
		m.metrics.drift.WithLabelValues("over").Add(float64(d.over))
		m.cfg.Log.Warn("the live status differed from the store and was repaired", "missing", d.missing, "over", d.over)
	}
	m.tellStale()
}

// mark is where a reading of the truth began: what is heard of from there on
// counts more than what is read.
type mark struct {
	since  *touched
	missed uint64 // as of then: what is missed later takes another reading
	owed   bool   // something was missed that no reading has made up for
	gap    bool   // and nothing but a snapshot tells readers of it
	lost   bool   // the feed is
	first  bool   // nothing was read before
}

func (m *Model) mark() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = newTouched()
	return mark{since: m.since, missed: m.missed, owed: m.missed != m.healed, gap: m.gap > m.healed,
		lost: m.lost, first: !m.loaded}
}
