package natsapi

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
)

// event is a call event in hand.
type event struct {
	callEvent
	msg  jetstream.Msg
	meta *jetstream.MsgMetadata
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
		if e.callEvent, why = readEvent(msg.Subject(), msg.Headers(), msg.Data(), in.cfg.Region); why != nil {
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
			in.hand.inLine(e, func(e *event) { in.work(ctx, e) })
		}
	}
}

// resolve finds the users and clients that events name by address and by number,
// and says which are not to be found. It takes as long as the store is away, and
// fails only when ctx ends.
func (in *Ingester) resolve(ctx context.Context, events []*event) (map[*event]*rejection, error) {
	defer in.metrics.paused.Store(false)
	for tries := 0; ; tries++ {
		missing, err := in.look(ctx, events)
		if err == nil {
			return missing, nil
		}
		in.metrics.paused.Store(true) // who is in here fetches nothing
		if !in.pause(ctx, tries) {
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

// work has an event take its effect, however long the store is away.
func (in *Ingester) work(ctx context.Context, e *event) {
	for tries := 0; ; tries++ {
		answer := in.ask(ctx, e)
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
		case messages.CodeUnavailable, messages.CodeOverloaded, messages.CodeOutcomeUnknown:
			if in.pause(ctx, tries) {
				continue
			}
			in.putBack(e, 0)
		default:
			in.log.Error("a call event met a defect", "code", answer.Code, "source", e.report.Source, "id", e.report.ID)
			in.tryLater(ctx, e, &rejection{ReasonInternal, "a defect of dibs: its log says more"})
		}
		return
	}
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
	timer := time.NewTimer(min(retryFirst<<min(tries, 10), in.timing.storeWait))
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
	in.hand.remove(e)
}

// putBack lets the event come again, here or at another node.
func (in *Ingester) putBack(e *event, after time.Duration) {
	if after == 0 {
		_ = e.msg.Nak() // if it is lost, the event comes again when this node is silent
	} else {
		_ = e.msg.NakWithDelay(after)
	}
	in.hand.remove(e)
}

// tryLater puts back an event whose user or client may still come, a bounded
// number of times. Others are not held up: an event that waits for another try is
// in nobody's hand. If very many wait, there is no other try; and none for what
// time does not cure.
func (in *Ingester) tryLater(ctx context.Context, e *event, why *rejection) {
	if why.reason == ReasonClientAmbiguous || e.meta.NumDelivered >= in.timing.tries || in.metrics.unacked.Load() > maxUnacked*3/4 {
		in.bury(ctx, e, why)
		return
	}
	in.metrics.count(resultRetried)
	in.putBack(e, in.timing.between(e.meta.NumDelivered))
}

// bury writes the letter of an event that cannot be applied, and only then
// acknowledges the event.
func (in *Ingester) bury(ctx context.Context, e *event, why *rejection) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, err := in.js.PublishMsg(ctx, deadLetter(e.msg, e.meta, why))
	if err == nil {
		err = e.msg.DoubleAck(ctx)
	}
	if err != nil {
		in.log.Warn("a call event that cannot be applied stays in the stream, because its letter cannot be written", "error", err)
		in.putBack(e, in.timing.deadWait)
		return
	}
	in.log.Debug("a call event could not be applied", "subject", e.msg.Subject(), "reason", why.reason, "error", why.sentence)
	in.metrics.count(resultDead)
	in.hand.remove(e)
}
