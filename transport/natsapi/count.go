package natsapi

import (
	"context"
	"errors"
	"time"
)

const (
	countEvery = 5 * time.Second
	// measureEvery is the least time between two questions of how full the stream is. It
	// is less than three counts, so that each third one asks even if it comes a bit early.
	measureEvery = 3*countEvery - countEvery/2
)

// count keeps the gauges of the backlog and of the stream. It has a goroutine of its own
// because counting a large backlog takes a while.
func (p *Publisher) count(ctx context.Context) {
	tick := time.NewTicker(p.timing.count)
	defer tick.Stop()
	for measured := (time.Time{}); ; {
		now := time.Now() // before the answers, which may take a while
		p.countOnce(ctx)
		if now.Sub(measured) >= measureEvery && p.measure(ctx) {
			measured = now
		}
		select {
		case <-tick.C:
		case <-p.stopping:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (p *Publisher) countOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, oldest, err := p.outbox.OutboxBacklog(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			p.log.Debug("the outbox cannot be counted", "error", err)
		}
		return
	}
	p.metrics.counted(rows, oldest)
}

// measure asks how full the stream is, unless there is no connection. It reports whether it
// did. Without an answer the last one stands.
func (p *Publisher) measure(ctx context.Context) (asked bool) {
	if up, _ := p.link.state(); !up {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	stream, err := p.js.Stream(ctx, StreamName)
	if err != nil {
		p.log.Debug("how full the event stream is cannot be asked", "error", err)
		return true
	}
	info := stream.CachedInfo()
	p.metrics.measured(info.State.Bytes, info.Config.MaxBytes)
	return true
}
