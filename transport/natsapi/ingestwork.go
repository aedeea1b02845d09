package natsapi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
)

// event is a call event in hand.
type event struct {
	callEvent
	msg  jetstream.Msg
	meta *jetstream.MsgMetadata

	// For who stands in line, set before that and never changed: what to wait for
	// (nil: nothing), and what is closed when the event is out of hand (nil: nobody
	// can wait for it).
	after, gone chan struct{}
}

// begin reads the events of a group, finds whom they name, and has them worked
// on. For each of them there is room in hand.
func (in *Ingester) begin(ctx context.Context, group []jetstream.Msg) {
	events := make([]*event, 0, len(group))
	for _, msg := range group {
		e := &event{msg: msg}
		in.hand.add(e)
		var err error
		if e.meta, err = msg.Metadata(); err != nil {
			in.hand.remove(e) // not of a stream: it cannot be, and nobody waits for it
			continue
		}
		var why *rejection
		if e.callEvent, why = readEvent(msg.Subject(), msg.Headers(), msg.Data(), in.cfg.Region); why == nil {
			why = in.stale(e)
		}
		if why != nil {
			in.hand.aside(func() { in.bury(ctx, e, why) })
			continue
		}
		events = append(events, e)
	}
	missing, err := in.resolve(ctx, events)
	for _, e := range events {
		switch {
		case err != nil:
			in.putBack(e, 0) // it is time to stop
		case missing[e] != nil:
			in.hand.aside(func() { in.tryLater(ctx, e, missing[e]) })
		default:
			in.inLine(ctx, e)
		}
	}
}

// inLine has an event worked on after those of its user that are in hand.
func (in *Ingester) inLine(ctx context.Context, e *event) {
	work := func(e *event) bool { return in.work(ctx, e) }
	ceased := func() {
		line, after := in.hand.leave(e.user, in.now())
		for i, behind := range line {
			in.postpone(behind, after[i])
		}
	}
	if after, ok := in.hand.inLine(e, in.origin(e), in.now(), work, ceased); !ok {
		in.postpone(e, after)
	}
}

// origin leaves it to the hand which events came back to it that had no place.
func (in *Ingester) origin(e *event) origin {
	switch {
	case e.meta.NumDelivered == 1:
		return publisher
	case in.tally.knows(e):
		return here
	}
	return elsewhere
}

// stale rejects the start of a call that began so long ago that the store may have
// forgotten its end.
func (in *Ingester) stale(e *event) *rejection {
	age := in.now().Sub(e.report.OccurredAt)
	if e.kind != messages.EventCallStarted || in.cfg.Remember == 0 || age <= in.cfg.Remember {
		return nil
	}
	return &rejection{ReasonStale, fmt.Sprintf("the call began %s ago: whether it has ended is known for %s (--ingest-remember)",
		age.Round(time.Second), in.cfg.Remember)}
}

// resolve finds the users and clients that events name by address and by number,
// and says which are not to be found. It takes as long as the store is away, and
// fails only when ctx ends.
func (in *Ingester) resolve(ctx context.Context, events []*event) (map[*event]*rejection, error) {
	for tries := 0; ; tries++ {
		missing, err := in.look(ctx, events)
		if err == nil {
			return missing, nil
		}
		if !in.pause(ctx, tries) { // who is in here fetches nothing
			return nil, err
		}
	}
}

func (in *Ingester) look(ctx context.Context, events []*event) (map[*event]*rejection, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	missing := map[*event]*rejection{}
	if err := in.lookForUsers(ctx, events, missing); err != nil {
		return nil, err
	}
	return missing, in.lookForClients(ctx, events, missing)
}

func (in *Ingester) lookForUsers(ctx context.Context, events []*event, missing map[*event]*rejection) error {
	var emails []string
	for _, e := range events {
		if e.email != "" {
			emails = append(emails, e.email)
		}
	}
	if len(emails) == 0 {
		return nil
	}
	users, err := in.lookup.UsersByEmail(ctx, emails)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.email == "" {
			continue
		}
		if e.user = users[e.email]; e.user.IsZero() {
			missing[e] = &rejection{ReasonUserNotFound, fmt.Sprintf("no user has the address %q", clip(e.email))}
		}
	}
	return nil
}

func (in *Ingester) lookForClients(ctx context.Context, events []*event, missing map[*event]*rejection) error {
	var queries []messages.PhoneQuery
	var asked []*event
	for _, e := range events {
		if e.phone != "" && missing[e] == nil {
			queries, asked = append(queries, messages.PhoneQuery{User: e.user, Phone: e.phone}), append(asked, e)
		}
	}
	if len(queries) == 0 {
		return nil
	}
	matches, err := in.lookup.ClientsByPhone(ctx, queries)
	if err != nil {
		return err
	}
	for i, e := range asked {
		e.client = matches[i].Client
		if !e.client.IsZero() || e.kind == messages.EventCallEnded {
			continue // the end of a call is found by the call
		}
		if matches[i].Clients == 0 {
			missing[e] = &rejection{ReasonClientNotFound, fmt.Sprintf("no client has the number %s", e.phone)}
		} else {
			missing[e] = &rejection{ReasonClientAmbiguous, fmt.Sprintf("several clients have the number %s: give client_id", e.phone)}
		}
	}
	return nil
}

// work has an event take its effect, however long the store is away. It reports
// false if the event went back because it gets no answer though the store is there:
// what stands behind it may fare the same, and others wait for the room.
func (in *Ingester) work(ctx context.Context, e *event) bool {
	others := in.answered.Load()
	var since time.Time // when it got no answer, the store being there all the time
	for tries := 0; ; tries++ {
		answer := in.ask(ctx, e)
		if !unanswered(answer.Code) {
			in.settle(ctx, e, answer)
			return true
		}
		switch now := in.now(); {
		case !in.engine.Reachable():
			since = time.Time{}
		case since.IsZero():
			since = now
		case now.Sub(since) > in.timing.holdMost:
			in.setAside(ctx, e, answer.Code, in.answered.Load() != others)
			return false
		}
		if !in.pause(ctx, tries) {
			in.putBack(e, 0)
			return true
		}
	}
}

// unanswered reports whether an event may be told again at once: whatever became of
// it, it takes effect once.
func unanswered(code messages.Code) bool {
	switch code {
	case messages.CodeUnavailable, messages.CodeOverloaded, messages.CodeOutcomeUnknown:
		return true
	}
	return false
}

// settle is what becomes of an event by the answer to it.
func (in *Ingester) settle(ctx context.Context, e *event, answer messages.Answer) {
	switch answer.Code {
	case messages.OK, messages.CodeCallOver:
		in.finish(e, resultOf(answer))
	case messages.CodeClientBeingCalled, messages.CodeUserOnCall:
		in.finish(e, resultRefused)
	case messages.CodeUserNotFound:
		in.tryLater(ctx, e, &rejection{ReasonUserNotFound, fmt.Sprintf("there is no active user %s", e.user)})
	case messages.CodeClientNotFound:
		in.tryLater(ctx, e, &rejection{ReasonClientNotFound, fmt.Sprintf("there is no client %s", e.client)})
	case messages.CodeBadRequest:
		in.bury(ctx, e, malformed("the store cannot hold what the event says"))
	default:
		in.log.Error("a call event met a defect", "code", answer.Code, "source", e.report.Source, "id", e.report.ID)
		in.tryLater(ctx, e, &rejection{ReasonInternal, "a defect of dibs: its log says more"})
	}
}

// setAside puts back an event that gets no answer. That this happens again and
// again while others get theirs is a defect, and then the event is given up: tried
// again by a person, it takes effect once, whatever became of it. If nobody gets an
// answer it is the store, and nothing is given up.
func (in *Ingester) setAside(ctx context.Context, e *event, code messages.Code, others bool) {
	h, _ := in.tally.note(e, in.now(), func(h *history) {
		if others && code != messages.CodeOverloaded {
			h.stuck++
		}
	})
	if h.stuck < in.timing.stuckMost {
		in.postpone(e, in.hand.putBack(e, in.now(), in.timing.between(max(1, h.stuck))))
		return
	}
	in.log.Error("a call event never gets an answer, and others do", "code", code, "source", e.report.Source, "id", e.report.ID)
	in.bury(ctx, e, &rejection{ReasonInternal, fmt.Sprintf("dibs had no answer for it (%s), again and again, while others had theirs", code)})
}

func (in *Ingester) ask(ctx context.Context, e *event) messages.Answer {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if e.kind == messages.EventCallEnded {
		return in.engine.ReportEnded(ctx, messages.ReportEnded{
			User: e.user, Client: e.client, Call: e.report.Call(), Disposition: e.disposition, Report: e.report,
		})
	}
	return in.engine.ReportStarted(ctx, messages.ReportStarted{
		User: e.user, Client: e.client, Call: e.report.Call(), Lease: e.lease, Report: e.report,
	})
}

func resultOf(a messages.Answer) result {
	switch {
	case a.Repeated:
		return resultRepeated
	case a.Code == messages.OK && (a.Call != nil || a.Ended != nil):
		return resultApplied
	}
	return resultNothing
}

// pause waits before the store or the engine is asked again. It reports false
// when it is time to stop.
func (in *Ingester) pause(ctx context.Context, tries int) bool {
	in.metrics.waits.Inc()
	d := min(retryFirst<<min(tries, 10), in.timing.storeWait)
	timer := time.NewTimer(d/2 + rand.N(d)) // those that were in each other's way come apart
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-in.stopping:
	case <-ctx.Done():
	}
	return false
}

// finish is the end of an event that has had its effect.
func (in *Ingester) finish(e *event, r result) {
	_ = e.msg.Ack() // if it is lost, the event comes again and is recognised
	in.metrics.count(r)
	in.metrics.delay.Observe(max(0, in.now().Sub(e.meta.Timestamp)).Seconds())
	in.answered.Add(1)
	in.tally.forget(e)
	in.hand.done(e)
}

// postpone puts back an event that has no place in hand, and before which no later one
// of its user may have one.
func (in *Ingester) postpone(e *event, after time.Duration) {
	in.metrics.count(resultPostponed)
	_ = e.msg.NakWithDelay(after) // if it is lost, the event comes again when this node is silent
	in.hand.remove(e)
}

// putBack lets the event come again, here or at another node. Nobody waits for it.
func (in *Ingester) putBack(e *event, after time.Duration) {
	if after == 0 {
		_ = e.msg.Nak() // if it is lost, the event comes again when this node is silent
	} else {
		_ = e.msg.NakWithDelay(after)
	}
	in.hand.done(e)
}

// tryLater puts back an event whose user or client may still come, a bounded
// number of times. Others are not held up: an event that waits for another try is
// in nobody's hand. If very many wait, there is no other try; and none for what
// time does not cure.
func (in *Ingester) tryLater(ctx context.Context, e *event, why *rejection) {
	h, full := in.tally.note(e, in.now(), func(h *history) { h.missing++ })
	if why.reason == ReasonClientAmbiguous || h.missing >= in.timing.tries || full {
		in.bury(ctx, e, why)
		return
	}
	in.metrics.count(resultRetried)
	in.putBack(e, in.timing.between(h.missing))
}

// bury writes the letter of an event that cannot be applied, and only when that is
// on stable storage acknowledges the event. Where letters cannot be written (their
// stream is full, say), the event waits in the stream, in nobody's way.
func (in *Ingester) bury(ctx context.Context, e *event, why *rejection) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	kept, err := in.keepers.before(ctx)
	if err == nil {
		_, err = in.js.PublishMsg(ctx, deadLetter(e.msg, e.meta, why, in.link.nc.MaxPayload()))
	}
	if err == nil {
		err = errors.Join(in.durable.sync(), kept.flush(ctx))
	}
	if err == nil {
		err = e.msg.DoubleAck(ctx)
	}
	if err != nil {
		in.leave(e, err)
		return
	}
	if h, _ := in.tally.note(e, in.now(), func(*history) {}); h.unburied > 0 && in.unburied.Swap(0) != 0 {
		in.log.Info("letters of call events that cannot be applied are written again")
	}
	in.log.Debug("a call event could not be applied", "subject", e.msg.Subject(), "reason", why.reason, "error", why.sentence)
	in.metrics.count(resultDead)
	in.tally.forget(e)
	in.hand.done(e)
}

// leave lets an event wait in the stream, longer each time, because its letter
// cannot be written. It is said once, until one can be written again.
func (in *Ingester) leave(e *event, err error) {
	now := in.now()
	if before := in.unburied.Swap(now.UnixNano()); now.Sub(time.Unix(0, before)) > tallyKept {
		in.log.Warn("call events that cannot be applied stay in the stream, because their letters cannot be written", "error", err)
	}
	h, full := in.tally.note(e, now, func(h *history) { h.unburied++ })
	wait := deadWaitMost
	if !full {
		wait = min(in.timing.deadWait<<min(h.unburied-1, 10), deadWaitMost)
	}
	in.putBack(e, wait)
}
