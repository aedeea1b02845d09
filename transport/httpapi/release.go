package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
	"golang.org/x/sync/errgroup"
)

const (
	longCall       = 2 * time.Hour // as the spec's teams clean up
	cleanUpPage    = 500
	cleanUpMost    = 10_000 // calls ended by one request
	cleanUpAtATime = 64     // enough that the store commits them in groups
)

type releaseRequest struct {
	Reason string          `json:"reason"`
	CallID json.RawMessage `json:"call_id"` // absent, but neither null nor empty: whichever is in progress
}

// forceRelease ends the call of somebody who cannot or does not. Without a call's
// name it is 200 also when there is nothing to end, so that two administrators at
// once are both served. With one, that call alone is ended: whoever saw it and
// decides means none that began since.
func (a *API) forceRelease(ctx context.Context, x *exchange) error {
	id, err := x.pathID("user_id", messages.CodeUserNotFound)
	if err != nil {
		return err
	}
	var in releaseRequest
	if len(x.body) > 0 {
		if err := x.decode(&in); err != nil {
			return err
		}
	}
	call, reason, err := in.read()
	if err != nil {
		return err
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	userID := messages.UserID{UUID: id}
	user, err := a.profile(ctx, x.who, userID)
	if err != nil {
		return err
	}
	audit, err := released(x.who, userID, map[string]any{"reason": reason})
	if err != nil {
		return err
	}
	answer := a.Calls.EndCall(ctx, messages.EndCall{User: userID, Call: call, Reason: messages.ReasonForceReleased,
		Audit: audit, Key: key, Deadline: deadlineOf(ctx)})
	message := "Call ended successfully"
	switch {
	case answer.Code != messages.OK:
		return refused(answer)
	case answer.Ended == nil && !call.IsZero():
		return overBefore(user, answer.Call)
	case answer.Ended == nil:
		message = "There was no call to end"
	}
	return x.respond(http.StatusOK, &wire.EndAnswer{User: wire.Calling(user, answer.Call), Ended: answer.Ended, Message: message})
}

func (in *releaseRequest) read() (call messages.CallID, reason string, err error) {
	if in.CallID != nil {
		var id string // null leaves it empty, which is no id
		if json.Unmarshal(in.CallID, &id) != nil {
			return call, "", badRequest("call_id must be a string.")
		}
		if call.UUID, err = wire.ParseID("call_id", id); err != nil {
			return call, "", err
		}
	}
	reason, err = text("reason", in.Reason, maxReason)
	if err == nil && reason == "" {
		err = badRequest("reason is required: it is kept on the audit trail.")
	}
	return call, reason, err
}

// overBefore says that the call to be released is over, and that another one of
// its user, if there is one, goes on.
func overBefore(user messages.User, other *messages.Call) error {
	p := &problem{Code: messages.CodeCallOver, Call: other}
	if other != nil {
		p.Sentence = "This call is over. " + user.Name() + " is on another call now, which goes on."
	}
	return p
}

// released is the entry on the audit trail of a call that an administrator
// ended.
func released(who *messages.Principal, user messages.UserID, detail map[string]any) (*messages.Audit, error) {
	raw, err := json.Marshal(detail)
	if err != nil {
		return nil, internal("encoding an audit entry: %w", err)
	}
	return &messages.Audit{By: who.Caller(), Action: "call.force_released",
		Subject: "user:" + user.String(), Detail: raw}, nil
}

type cleanedUser struct {
	ID        messages.UserID `json:"id"`
	FirstName string          `json:"first_name"`
	LastName  string          `json:"last_name"`
}

type cleanUpAnswer struct {
	Message      string        `json:"message"`
	CleanedUsers []cleanedUser `json:"cleaned_users"`
}

// cleanUp ends the calls that somebody forgot, each by its exact id and token:
// a call that began in the meantime is left alone.
func (a *API) cleanUp(ctx context.Context, x *exchange) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	age, err := duration("older_than", q.Get("older_than"), longCall)
	if err != nil {
		return err
	}
	run := &cleanUpRun{api: a, who: x.who, age: age}
	more, err := run.pages(ctx)
	if err != nil && len(run.cleaned) == 0 {
		return err
	}
	message := fmt.Sprintf("Ended %s older than %s.", counted(int64(len(run.cleaned)), "call"), inWords(age))
	if more || err != nil {
		message += " There may be more; please ask again."
	}
	if run.cleaned == nil {
		run.cleaned = []cleanedUser{}
	}
	return x.respond(http.StatusOK, cleanUpAnswer{message, run.cleaned})
}

// inWords says d in the largest unit that says it whole.
func inWords(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return counted(int64(d/time.Hour), "hour")
	case d%time.Minute == 0:
		return counted(int64(d/time.Minute), "minute")
	case d%time.Second == 0:
		return counted(int64(d/time.Second), "second")
	}
	return d.String()
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// cleanUpRun is one clean-up under way.
type cleanUpRun struct {
	api *API
	who *messages.Principal
	age time.Duration

	mu      sync.Mutex
	cleaned []cleanedUser
}

// pages ends long calls until there are none, or no progress is made, or
// enough were ended for one request.
func (c *cleanUpRun) pages(ctx context.Context) (more bool, err error) {
	for len(c.cleaned) < cleanUpMost {
		calls, err := c.api.Store.StartedBefore(ctx, c.age, cleanUpPage)
		if err != nil {
			return true, asRead(err)
		}
		before := len(c.cleaned)
		if err := c.page(ctx, calls); err != nil {
			return true, err
		}
		if len(calls) < cleanUpPage || len(c.cleaned) == before {
			return len(calls) == cleanUpPage, nil
		}
	}
	return true, nil
}

func (c *cleanUpRun) page(ctx context.Context, calls []messages.HeldClaim) error {
	var group errgroup.Group // one failure does not keep the others from being told
	group.SetLimit(cleanUpAtATime)
	for _, call := range calls {
		group.Go(func() error { return c.end(ctx, call) })
	}
	return group.Wait()
}

func (c *cleanUpRun) end(ctx context.Context, call messages.HeldClaim) (err error) {
	// A panic on a goroutine of the group would end the process.
	defer func() {
		if v := recover(); v != nil {
			err = internal("panic while ending a long call: %v", v)
		}
	}()
	audit, err := released(c.who, call.UserID, map[string]any{"reason": "clean-up of long calls",
		"older_than_seconds": int64(c.age.Seconds()), "call_id": call.ID, "client_id": call.ClientID})
	if err != nil {
		return err
	}
	answer := c.api.Calls.EndCall(ctx, messages.EndCall{User: call.UserID, Call: call.ID, Token: call.Token,
		Reason: messages.ReasonForceReleased, Audit: audit, Deadline: deadlineOf(ctx)})
	if answer.Code != messages.OK {
		return refused(answer)
	}
	if answer.Ended == nil {
		return nil // it was over already
	}
	user, err := c.api.profile(ctx, c.who, call.UserID)
	if err != nil {
		user = messages.User{FirstName: call.Name} // the call ended, so it must be said
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cleaned = append(c.cleaned, cleanedUser{call.UserID, user.FirstName, user.LastName})
	return nil
}
