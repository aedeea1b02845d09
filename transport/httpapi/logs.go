package httpapi

import (
	"context"
	"net/http"

	"github.com/dibs-calls/dibs/messages"
)

const longestCall = 7 * 24 * 3600 // seconds

// logRequest is a call log to be saved.
type logRequest struct {
	UserID            string  `json:"user_id"`
	ClientID          string  `json:"client_id"`
	CallType          string  `json:"call_type"`
	CallStatus        string  `json:"call_status"`
	CallDuration      *int64  `json:"call_duration"`
	Notes             string  `json:"notes"`
	CallbackRequested bool    `json:"callback_requested"`
	CallbackTime      *string `json:"callback_time"`
	CallStartedAt     *string `json:"call_started_at"`
	CallEndedAt       *string `json:"call_ended_at"`
}

type logAnswer struct {
	CallLog *messages.CallLog `json:"callLog"`
}

// saveLog keeps a log; if the user is on a call with that client, the engine
// ends it in the same transaction.
func (a *API) saveLog(ctx context.Context, x *exchange) error {
	var in logRequest
	if err := x.decode(&in); err != nil {
		return err
	}
	user, err := actingFor(x.who, in.UserID)
	if err != nil {
		return err
	}
	log, err := in.log()
	if err != nil {
		return err
	}
	log.ID, log.UserID = messages.LogID{UUID: newID()}, user
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	answer := a.Calls.SaveLog(ctx, messages.SaveLog{User: user, Log: log, Key: key, Deadline: deadlineOf(ctx)})
	switch {
	case answer.Code != messages.OK:
		return refused(answer)
	case answer.Log == nil:
		return internal("a log was acknowledged without being returned")
	}
	return x.respond(http.StatusCreated, logAnswer{answer.Log})
}

// log checks what was sent. Times are not compared with each other: they come
// from different clocks, and notes that somebody typed are worth more than a
// second of disagreement.
func (in *logRequest) log() (l messages.CallLog, err error) {
	if l.ClientID.UUID, err = parseID("client_id", in.ClientID); err != nil {
		return l, err
	}
	if err = oneOf("call_type", in.CallType, "outbound", "inbound"); err != nil {
		return l, err
	}
	if err = logStatus("call_status", in.CallStatus); err != nil {
		return l, err
	}
	l.CallType, l.CallStatus, l.CallbackRequested = in.CallType, in.CallStatus, in.CallbackRequested
	if in.CallDuration != nil {
		if *in.CallDuration < 0 || *in.CallDuration > longestCall {
			return l, badRequest("call_duration must be a number of seconds from 0 to %d.", longestCall)
		}
		seconds := int(*in.CallDuration)
		l.CallDuration = &seconds
	}
	if l.Notes, err = text("notes", in.Notes, maxNotes); err != nil {
		return l, err
	}
	if l.CallbackTime, err = parseTime("callback_time", in.CallbackTime); err != nil {
		return l, err
	}
	if l.CallStartedAt, err = parseTime("call_started_at", in.CallStartedAt); err != nil {
		return l, err
	}
	l.CallEndedAt, err = parseTime("call_ended_at", in.CallEndedAt)
	return l, err
}

func logStatus(field, s string) error {
	return oneOf(field, s, "completed", "missed", "declined", "busy", "no_answer")
}

// listLogs shows people their own logs, and administrators and services
// everybody's.
func (a *API) listLogs(ctx context.Context, x *exchange) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	var want messages.LogQuery
	if want.Page, want.Limit, err = paging(q); err != nil {
		return err
	}
	if want.ClientID, err = optionalClientID("clientId", q.Get("clientId")); err != nil {
		return err
	}
	if want.UserID, err = optionalUserID("userId", q.Get("userId")); err != nil {
		return err
	}
	if want.Status = q.Get("status"); want.Status != "" {
		if err := logStatus("status", want.Status); err != nil {
			return err
		}
	}
	if !mayActForOthers(x.who) {
		own := x.who.User.ID // zero for an API key, and zero would not narrow
		if own.IsZero() || (!want.UserID.IsZero() && want.UserID != own) {
			return forbidden("You can only see your own call logs.")
		}
		want.UserID = own
	}
	room, err := a.startList(x)
	if err != nil {
		return err
	}
	want.Room = room.take
	logs, total, err := a.Store.ListLogs(ctx, want)
	if err != nil {
		return err
	}
	return respondPage(a, x, "callLogs", logs, total, want.Page, want.Limit)
}
