package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// statusRequest is the body of PUT /api/user-status, for all its actions.
type statusRequest struct {
	Action       string `json:"action"`
	UserID       string `json:"user_id"`
	ClientID     string `json:"client_id"`
	CallID       string `json:"call_id"`
	Token        *int64 `json:"token"`
	LeaseSeconds *int64 `json:"lease_seconds"`
	Disposition  string `json:"disposition"`
	Notes        string `json:"notes"`
}

// callingUser is a user in the answer to a start or an end.
type callingUser struct {
	messages.User
	IsOnCall            bool               `json:"is_on_call"`
	CurrentCallClientID *messages.ClientID `json:"current_call_client_id"`
	CallStartedAt       *time.Time         `json:"call_started_at"`
}

func calling(user messages.User, call *messages.Call) callingUser {
	u := callingUser{User: user}
	if call != nil {
		u.IsOnCall, u.CurrentCallClientID, u.CallStartedAt = true, &call.ClientID, &call.StartedAt
	}
	return u
}

type startAnswer struct {
	User    callingUser    `json:"user"`
	Call    *messages.Call `json:"call"`
	Message string         `json:"message"`
}

type endAnswer struct {
	User    callingUser    `json:"user"`
	Ended   *messages.Call `json:"ended,omitempty"`
	Message string         `json:"message"`
}

type renewAnswer struct {
	Call           *messages.Call `json:"call"`
	LeaseExpiresAt time.Time      `json:"lease_expires_at"`
	Message        string         `json:"message"`
}

// changeStatus starts, ends or renews a call.
func (a *API) changeStatus(ctx context.Context, x *exchange) error {
	var in statusRequest
	if err := x.decode(&in); err != nil {
		return err
	}
	if err := oneOf("action", in.Action, "start_call", "end_call", "renew_call"); err != nil {
		return err
	}
	id, err := actingFor(x.who, in.UserID)
	if err != nil {
		return err
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	switch in.Action {
	case "start_call":
		return a.startCall(ctx, x, &in, id, key)
	case "end_call":
		return a.endCall(ctx, x, &in, id, key)
	}
	return a.renewCall(ctx, x, &in, id, key)
}

func (a *API) startCall(ctx context.Context, x *exchange, in *statusRequest, id messages.UserID, key *messages.Key) error {
	client, err := parseID("client_id", in.ClientID)
	if err != nil {
		return err
	}
	lease, err := in.lease()
	if err != nil {
		return err
	}
	user, err := a.profile(ctx, x.who, id)
	if err != nil {
		return err
	}
	answer := a.Calls.StartCall(ctx, messages.StartCall{
		User: id, Client: messages.ClientID{UUID: client}, Call: messages.CallID{UUID: newID()},
		Lease: lease, Key: key, Deadline: deadlineOf(ctx),
	})
	switch {
	case answer.Code != messages.OK:
		return refused(answer)
	case answer.Call == nil:
		return internal("a start was acknowledged without its call")
	}
	return x.respond(http.StatusOK, &startAnswer{calling(user, answer.Call), answer.Call, "Call started successfully"})
}

func (a *API) endCall(ctx context.Context, x *exchange, in *statusRequest, id messages.UserID, key *messages.Key) error {
	cmd := messages.EndCall{User: id, Reason: messages.ReasonCompleted, Key: key, Deadline: deadlineOf(ctx)}
	var err error
	if in.CallID != "" {
		if cmd.Call.UUID, err = parseID("call_id", in.CallID); err != nil {
			return err
		}
	}
	if cmd.Token, err = in.fence(); err != nil {
		return err
	}
	if cmd.Disposition, err = text("disposition", in.Disposition, maxDisposition); err != nil {
		return err
	}
	if cmd.Notes, err = text("notes", in.Notes, maxNotes); err != nil {
		return err
	}
	user, err := a.profile(ctx, x.who, id)
	if err != nil {
		return err
	}
	answer := a.Calls.EndCall(ctx, cmd)
	if answer.Code != messages.OK {
		return refused(answer)
	}
	message := "Call ended successfully"
	if answer.Call != nil {
		message = "That call is over; another call is in progress"
	}
	return x.respond(http.StatusOK, &endAnswer{calling(user, answer.Call), answer.Ended, message})
}

// renewCall asks for both names of the call: a renewal by somebody who does
// not know the token is one by somebody who lost the call (I6).
func (a *API) renewCall(ctx context.Context, x *exchange, in *statusRequest, id messages.UserID, key *messages.Key) error {
	call, err := parseID("call_id", in.CallID)
	if err != nil {
		return err
	}
	token, err := in.fence()
	if err != nil {
		return err
	}
	if token == 0 {
		return badRequest("token is required.")
	}
	lease, err := in.lease()
	if err != nil {
		return err
	}
	if _, err := a.profile(ctx, x.who, id); err != nil {
		return err
	}
	answer := a.Calls.RenewCall(ctx, messages.RenewCall{
		User: id, Call: messages.CallID{UUID: call}, Token: token, Lease: lease, Key: key, Deadline: deadlineOf(ctx),
	})
	switch {
	case answer.Code != messages.OK:
		return refused(answer)
	case answer.Call == nil:
		return internal("a renewal was acknowledged without its call")
	}
	return x.respond(http.StatusOK, &renewAnswer{answer.Call, answer.Call.LeaseExpiresAt, "Call renewed successfully"})
}

// lease is how long the call may go on without renewal; zero when not asked.
func (in *statusRequest) lease() (time.Duration, error) {
	if in.LeaseSeconds == nil {
		return 0, nil
	}
	const least, most = int64(messages.MinLease / time.Second), int64(messages.MaxLease / time.Second)
	if *in.LeaseSeconds < least || *in.LeaseSeconds > most {
		return 0, badRequest("lease_seconds must be a whole number from %d to %d.", least, most)
	}
	return time.Duration(*in.LeaseSeconds) * time.Second, nil
}

// fence is the fencing token; zero when none was given.
func (in *statusRequest) fence() (int64, error) {
	if in.Token == nil {
		return 0, nil
	}
	if *in.Token < 1 {
		return 0, badRequest("token must be a whole number from 1 on.")
	}
	return *in.Token, nil
}

// newID is a UUIDv7: it sorts by time, which keeps indexes compact. It cannot
// fail, because crypto/rand cannot.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// deadlineOf is when the caller stops waiting. Every route has a timeout.
func deadlineOf(ctx context.Context) time.Time {
	deadline, _ := ctx.Deadline()
	return deadline
}
