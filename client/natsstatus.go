package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// snapshotTimeout bounds the reading of all calls in progress. The consumer that
// waits for it is forgotten later than that.
const snapshotTimeout = 20 * time.Second

// snapshot asks for all calls in progress. Where the NATS server or dibs does not
// let us, it says [Missed] instead.
func (t *natsTransport) snapshot(ctx context.Context) (Event, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	out := Event{Type: Snapshot, Calls: []CallInProgress{}}
	for after := ""; ; {
		body, err := t.statusPage(ctx, after)
		if errors.Is(err, CodeForbidden) || errors.Is(err, CodeNotFound) {
			return Event{Type: Missed}, nil
		}
		if err != nil {
			return Event{}, err
		}
		var page struct {
			Calls []CallInProgress
			Next  string
		}
		if err := decode(body, &page); err != nil {
			return Event{}, err
		}
		if page.Calls == nil {
			return Event{}, strange("It has no calls.")
		}
		out.Calls = append(out.Calls, page.Calls...)
		if after = page.Next; after == "" {
			return out, nil
		}
	}
}

// statusPage asks for one page. The ping behind the question has the server say
// at once if it does not pass the question on.
func (t *natsTransport) statusPage(ctx context.Context, after string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	msg := nats.NewMsg(rpcPrefix + "status" + t.suffix)
	msg.Data, _ = json.Marshal(map[string]string{"after": after}) // it always encodes
	msg.Reply = t.nc.NewInbox()
	setTimeout(ctx, msg)
	before := t.nc.LastError()
	fail := func(err error) error { return t.failure(err, t.denied(before, `"`+msg.Subject+`"`)) }
	inbox, err := t.nc.SubscribeSync(msg.Reply)
	if err != nil {
		return nil, fail(err)
	}
	defer func() { _ = inbox.Unsubscribe() }() // gone with the connection, if not by this
	if err := t.nc.PublishMsg(msg); err != nil {
		return nil, fail(err)
	}
	if err := t.nc.FlushWithContext(ctx); err != nil {
		return nil, fail(err)
	}
	if denied := t.denied(before, `"`+msg.Subject+`"`); denied != nil {
		return nil, fail(denied)
	}
	answer, err := inbox.NextMsgWithContext(ctx)
	if err != nil {
		return nil, fail(err)
	}
	return answered(answer)
}
