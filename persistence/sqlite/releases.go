package sqlite

import (
	"encoding/json"
	"math"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// release ends a call: its claim is deleted, the finished call inserted, and
// what comes with it saved. The log is checked first, because it is saved with
// the call's end or neither is.
func (x *tx) release(w messages.Write) (messages.Outcome, error) {
	if refusal, err := x.checkLog(w.Log); err != nil || refusal != 0 {
		return messages.Outcome{Kind: refusal}, err
	}
	l, found, err := x.takeOut(w)
	if err != nil {
		return messages.Outcome{}, err
	}
	if !found {
		return x.notReleased(w)
	}
	// The clock may have been set back since the call began.
	endedAt := max(x.now, l.Call.StartedAt.UnixMicro())
	o := messages.Outcome{
		Kind: messages.OutcomeDone, Call: l.Call, Event: persistence.EndedEvent(l, timeOf(endedAt), &w),
	}
	if err := x.keep(w, l.Call, endedAt); err != nil {
		return o, err
	}
	if w.Log != nil {
		log := *w.Log
		persistence.FillLog(&log, l.Call, timeOf(endedAt))
		if o.Log, err = x.saveLog(&log, &l.Call.ID); err != nil {
			return o, err
		}
	}
	return o, x.audit(w.Audit)
}

// takeOut takes the call that a release is to end out of claims. The plus signs keep
// the conditions from being weighed against statistics by the values of the moment:
// SQLite would plan the statement anew each time, which took as long as all the rest.
func (x *tx) takeOut(w messages.Write) (l messages.LiveCall, found bool, err error) {
	due := int64(math.MaxInt64) // whenever the lease ends
	if w.Reason == messages.ReasonExpired {
		due = x.now
	}
	l.Call = messages.Call{ID: w.Call, UserID: w.User, Token: w.Token}
	var started, expires int64
	found, err = x.get(`
		delete from claims
		where user_id = ?1 and +call_id = ?2 and +token = ?3 and +lease_expires_at <= ?4
		returning client_id, started_at, lease_expires_at`,
		[]any{w.User, w.Call, w.Token, due}, &l.Call.ClientID, &started, &expires)
	if err != nil || !found {
		return l, found, err
	}
	l.Call.StartedAt, l.Call.LeaseExpiresAt = timeOf(started), timeOf(expires)
	if w.Started != nil && w.Started.Call.ID == w.Call {
		l.User, l.Client = w.Started.User, w.Started.Client
		return l, true, nil
	}
	_, err = x.get(`
		select `+who+` from (select 1) left join accounts a on a.id = ?1 left join clients k on k.id = ?2`,
		[]any{w.User, l.Call.ClientID}, whoTargets(&l)...)
	l.User.ID, l.Client.ID = w.User, l.Call.ClientID
	return l, true, err
}

// keep writes a call that has ended to the history.
func (x *tx) keep(w messages.Write, call messages.Call, endedAt int64) error {
	_, err := x.exec(`
		insert into calls (id, client_id, user_id, token, started_at, ended_at, reason, disposition, notes)
		values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
		call.ID, call.ClientID, call.UserID, call.Token, call.StartedAt.UnixMicro(), endedAt,
		string(w.Reason), w.Disposition, w.Notes)
	return err
}

// notReleased: there is no such claim, or its lease still runs. The log of a
// call that is over is kept.
func (x *tx) notReleased(w messages.Write) (messages.Outcome, error) {
	if w.Reason == messages.ReasonExpired {
		h, found, err := x.held(`c.user_id = ?1`, w.User)
		if err != nil {
			return messages.Outcome{}, err
		}
		if found && h.ID == w.Call && h.Token == w.Token {
			return messages.Outcome{Kind: messages.OutcomeNotExpired, Call: h.Call}, nil
		}
	}
	log, err := x.saveLog(w.Log, nil)
	return messages.Outcome{Kind: messages.OutcomeCallOver, Log: log}, err
}

// note saves a log and audit without a claim.
func (x *tx) note(w messages.Write) (messages.Outcome, error) {
	if refusal, err := x.checkLog(w.Log); err != nil || refusal != 0 {
		return messages.Outcome{Kind: refusal}, err
	}
	log, err := x.saveLog(w.Log, nil)
	if err != nil {
		return messages.Outcome{}, err
	}
	return messages.Outcome{Kind: messages.OutcomeDone, Log: log}, x.audit(w.Audit)
}

// checkLog returns the outcome of a log that cannot be saved, or 0.
func (x *tx) checkLog(log *messages.CallLog) (messages.OutcomeKind, error) {
	if log == nil {
		return 0, nil
	}
	var user, client bool
	_, err := x.get(`
		select exists (select 1 from accounts where id = ?1), exists (select 1 from clients where id = ?2)`,
		[]any{log.UserID, log.ClientID}, &user, &client)
	switch {
	case err != nil:
		return 0, err
	case !user:
		return messages.OutcomeNoUser, nil
	case !client:
		return messages.OutcomeNoClient, nil
	}
	return 0, nil
}

// saveLog saves a log that may be saved and returns it as it is now. ended is
// the call that it ended. A log that is there already stays as it is: its id
// was chosen by who retries.
func (x *tx) saveLog(given *messages.CallLog, ended *messages.CallID) (*messages.CallLog, error) {
	if given == nil {
		return nil, nil
	}
	log := *given
	log.CallID, log.CreatedAt = ended, timeOf(x.now)
	callback, began, over := micros(log.CallbackTime), micros(log.CallStartedAt), micros(log.CallEndedAt)
	log.CallbackTime, log.CallStartedAt, log.CallEndedAt = timePtr(callback), timePtr(began), timePtr(over)
	log.User, log.Client = nil, nil
	_, err := x.exec(`
		insert into call_logs (id, client_id, user_id, call_id, call_type, call_status, call_duration,
			notes, callback_requested, callback_time, call_started_at, call_ended_at, created_at)
		values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
		on conflict (id) do nothing`,
		log.ID, log.ClientID, log.UserID, log.CallID, log.CallType, log.CallStatus, log.CallDuration,
		log.Notes, log.CallbackRequested, callback, began, over, x.now)
	return &log, err
}

// audit writes an entry of the trail.
func (x *tx) audit(a *messages.Audit) error {
	if a == nil {
		return nil
	}
	if err := checkAudit(*a); err != nil {
		return err
	}
	var detail *string
	if len(a.Detail) > 0 {
		given := string(a.Detail)
		detail = &given
	}
	_, err := x.exec(`insert into audit (at, "by", action, subject, detail) values (?1, ?2, ?3, ?4, ?5)`,
		x.now, a.By, a.Action, a.Subject, detail)
	return err
}

func (x *tx) auditAll(entries []messages.Audit) error {
	for i := range entries {
		if err := x.audit(&entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkAudit(a messages.Audit) error {
	if len(a.Detail) > 0 && !json.Valid(a.Detail) {
		return badRequest("The detail of an audit entry must be JSON.", nil)
	}
	return checkText(a.By, a.Action, a.Subject, string(a.Detail))
}
