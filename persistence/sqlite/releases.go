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
	l, found, err := x.ending(w)
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
	if err := x.finish(w, l.Call, endedAt); err != nil {
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

// ending finds the call that a release is to end.
func (x *tx) ending(w messages.Write) (l messages.LiveCall, found bool, err error) {
	due := int64(math.MaxInt64) // whenever the lease ends
	if w.Reason == messages.ReasonExpired {
		due = x.now
	}
	l, err = scanLive(func(dest ...any) (err error) {
		found, err = x.get(
			selectLive+`where c.user_id = ?1 and c.call_id = ?2 and c.token = ?3 and c.lease_expires_at <= ?4`,
			[]any{w.User, w.Call, w.Token, due}, dest...)
		return err
	})
	return l, found, err
}

func (x *tx) finish(w messages.Write, call messages.Call, endedAt int64) error {
	if _, err := x.exec(`delete from claims where user_id = ?1`, call.UserID); err != nil {
		return err
	}
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
