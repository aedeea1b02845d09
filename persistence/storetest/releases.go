package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

func releasePromises() []promise {
	return []promise{
		{"Done: the call is over and was as answered", releaseDone},
		{"Each reason ends a call", releaseReasons},
		{"I5: a call ends once", releaseOnce},
		{"I6: another token, call or user changes nothing", releaseFenced},
		{"I6: an old token does not end the next call", releaseOldToken},
		{"Expired: only once the lease has run out by the store's clock", releaseExpired},
		{"Expired: a renewal that came first wins", releaseExpiredRenewed},
		{"The log is saved in the same transaction and names the call", releaseWithLog},
		{"What the log leaves out of the call is filled in, and nothing else", releaseFillsLog},
		{"The log of a call that is over is saved alone", releaseOverWithLog},
		{"A log about an unknown client keeps the call as it is", releaseLogNoClient},
		{"A log by an unknown user is refused", releaseLogNoUser},
		{"Audit is written if a call was ended, and only then", releaseAudit},
		{"A user who was disabled on a call can still be released", releaseDisabledUser},
	}
}

func releaseDone(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	w := releaseOf(call)
	w.Disposition, w.Notes = "SALE", "asked for an offer"
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "call as it was", o.Call, call)
	if o.Log != nil {
		t.Fatalf("a log that nobody wrote: %+v", o.Log)
	}
	wantFree(t, s, u.ID, c.ID)
}

func releaseReasons(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for _, reason := range []messages.EndReason{
		messages.ReasonCompleted, messages.ReasonLogSaved, messages.ReasonForceReleased, messages.ReasonSuperseded,
	} {
		w := releaseOf(start(t, s, u, c))
		w.Reason = reason
		wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
		wantFree(t, s, u.ID, c.ID)
	}
}

func releaseOnce(t *testing.T, s persistence.Store) {
	w := releaseOf(start(t, s, addUser(t, s), addClient(t, s)))
	wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
	wantKind(t, commitOne(t, s, w), messages.OutcomeCallOver)
	w.Reason = messages.ReasonExpired
	wantKind(t, commitOne(t, s, w), messages.OutcomeCallOver)
}

func releaseFenced(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	for name, change := range map[string]func(*messages.Write){
		"token after":   func(w *messages.Write) { w.Token++ },
		"token before":  func(w *messages.Write) { w.Token-- },
		"another call":  func(w *messages.Write) { w.Call = newCallID() },
		"another user":  func(w *messages.Write) { w.User = users[1].ID },
		"unknown user":  func(w *messages.Write) { w.User = newUserID() },
		"no call named": func(w *messages.Write) { w.Call = messages.CallID{} },
	} {
		w := releaseOf(call)
		change(&w)
		if o := commitOne(t, s, w); o.Kind != messages.OutcomeCallOver {
			t.Errorf("%s: outcome is %s, want CallOver", name, outcomeName(o.Kind))
		}
		wantHeld(t, s, call)
	}
}

func releaseOldToken(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	old := start(t, s, u, c)
	end(t, s, old)
	call := start(t, s, u, c)
	stale := releaseOf(call)
	stale.Token = old.Token
	wantKind(t, commitOne(t, s, stale), messages.OutcomeCallOver)
	wantKind(t, commitOne(t, s, releaseOf(old)), messages.OutcomeCallOver)
	wantHeld(t, s, call)
}

func releaseExpired(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	running := start(t, s, u, c)
	o := commitOne(t, s, expiryOf(running))
	wantKind(t, o, messages.OutcomeNotExpired)
	wantEqual(t, "call", o.Call, running)
	wantHeld(t, s, running)
	end(t, s, running)

	call := startFor(t, s, u, c, time.Microsecond)
	waitExpired(t, s, call)
	o = commitOne(t, s, expiryOf(call))
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "call", o.Call, call)
	wantFree(t, s, u.ID, c.ID)
}

func releaseExpiredRenewed(t *testing.T, s persistence.Store) {
	call := startFor(t, s, addUser(t, s), addClient(t, s), time.Microsecond)
	waitExpired(t, s, call)
	renewed := commitOne(t, s, renewalOf(call, time.Hour, 0))
	wantKind(t, renewed, messages.OutcomeDone)
	o := commitOne(t, s, expiryOf(call))
	wantKind(t, o, messages.OutcomeNotExpired)
	wantEqual(t, "call", o.Call, renewed.Call)
	wantHeld(t, s, renewed.Call)
}

func releaseWithLog(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	w := releaseOf(call)
	w.Reason, w.Log = messages.ReasonLogSaved, logOf(u, c, "will call back")
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeDone)
	wantFree(t, s, u.ID, c.ID)
	if o.Log == nil {
		t.Fatal("the outcome lacks the log")
	}
	want := *w.Log
	want.CallID, want.CreatedAt = &call.ID, o.Log.CreatedAt
	want.CallStartedAt, want.CallEndedAt, want.CallDuration = &call.StartedAt, &o.Event.At, new(int)
	*want.CallDuration = int(o.Event.At.Sub(call.StartedAt) / time.Second)
	wantEqual(t, "log in the outcome", *o.Log, want)
	wantSavedLog(t, s, want)
	wantEqual(t, "log that was handed in", *w.Log, *logOfSameID(u, c, w.Log))
}

// logOfSameID is a log as releaseWithLog made it: what is handed in belongs to
// the caller and is left as it is.
func logOfSameID(u messages.User, c messages.Client, given *messages.CallLog) *messages.CallLog {
	log := logOf(u, c, given.Notes)
	log.ID = given.ID
	return log
}

func releaseFillsLog(t *testing.T, s persistence.Store) {
	began, ended, seconds := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC), time.Date(2031, 5, 6, 7, 9, 0, 0, time.UTC), 51
	for name, given := range map[string]messages.CallLog{
		"all given":  {CallStartedAt: &began, CallEndedAt: &ended, CallDuration: &seconds},
		"start":      {CallStartedAt: &began},
		"end":        {CallEndedAt: &ended},
		"duration":   {CallDuration: &seconds},
		"none given": {},
	} {
		u, c := addUser(t, s), addClient(t, s)
		w := releaseOf(start(t, s, u, c))
		w.Log = logOf(u, c, name)
		w.Log.CallStartedAt, w.Log.CallEndedAt, w.Log.CallDuration = given.CallStartedAt, given.CallEndedAt, given.CallDuration
		o := commitOne(t, s, w)
		wantKind(t, o, messages.OutcomeDone)
		took := int(o.Event.At.Sub(o.Call.StartedAt) / time.Second)
		want := *w.Log
		want.CallID, want.CreatedAt = &o.Call.ID, o.Log.CreatedAt
		if given.CallStartedAt == nil {
			want.CallStartedAt = &o.Call.StartedAt
		}
		if given.CallEndedAt == nil {
			want.CallEndedAt = &o.Event.At
		}
		if given.CallDuration == nil {
			want.CallDuration = &took
		}
		wantEqual(t, "log in the outcome, "+name, *o.Log, want)
		wantSavedLog(t, s, want)
	}
}

// wantSavedLog fails unless the log is the only one about its client.
func wantSavedLog(t *testing.T, s persistence.Store, want messages.CallLog) {
	t.Helper()
	logs := allLogs(t, s, want.ClientID)
	if len(logs) != 1 {
		t.Fatalf("%d logs about the client, want 1", len(logs))
	}
	got := logs[0]
	if !storedTime(got.CreatedAt) {
		t.Fatalf("the log was created at %v", got.CreatedAt)
	}
	got.User, got.Client = nil, nil // who they are is a topic of its own
	wantEqual(t, "log", got, want)
}

func releaseOverWithLog(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	end(t, s, call)
	w := releaseOf(call)
	w.Reason, w.Log = messages.ReasonLogSaved, logOf(u, c, "typed for an hour")
	w.Log.CallID = &call.ID // as the actor believes; the log ends no call
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeCallOver)
	if o.Log == nil {
		t.Fatal("the notes were thrown away")
	}
	want := *w.Log
	want.CallID, want.CreatedAt = nil, o.Log.CreatedAt
	wantEqual(t, "log in the outcome", *o.Log, want)
	wantSavedLog(t, s, want)
}

func releaseLogNoClient(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	w := releaseOf(call)
	w.Log = logOf(u, messages.Client{ID: newClientID()}, "about nobody")
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeNoClient)
	if o.Log != nil {
		t.Fatalf("the outcome has log %+v", o.Log)
	}
	wantHeld(t, s, call) // both happen or neither

	end(t, s, call)
	noError(t, s.DeleteClient(t.Context(), c.ID, newAudit("client.deleted")))
	w.Log = logOf(u, c, "too late")
	wantKind(t, commitOne(t, s, w), messages.OutcomeNoClient)
	wantEqual(t, "logs about the client", len(allLogs(t, s, c.ID)), 0)
}

func releaseLogNoUser(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	nobody := messages.User{ID: newUserID()}
	w := messages.Write{
		Kind: messages.WriteRelease, User: nobody.ID, Client: c.ID, Call: newCallID(), Token: 1,
		Reason: messages.ReasonLogSaved, Log: logOf(nobody, c, "by nobody"),
	}
	wantKind(t, commitOne(t, s, w), messages.OutcomeNoUser)
	wantEqual(t, "logs about the client", len(allLogs(t, s, c.ID)), 0)
}

func releaseAudit(t *testing.T, s persistence.Store) {
	call := start(t, s, addUser(t, s), addClient(t, s))
	audit := newAudit("call.force_released")
	w := releaseOf(call)
	w.Reason, w.Audit = messages.ReasonForceReleased, &audit

	stale := w
	stale.Token++
	wantKind(t, commitOne(t, s, stale), messages.OutcomeCallOver)
	running := w
	running.Reason = messages.ReasonExpired
	wantKind(t, commitOne(t, s, running), messages.OutcomeNotExpired)
	wantEqual(t, "entries before the release", len(auditOf(t, s, audit.Subject)), 0)

	wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
	wantKind(t, commitOne(t, s, w), messages.OutcomeCallOver)
	wantOneAudit(t, s, audit)
}

// wantOneAudit fails unless the trail holds the entry, once.
func wantOneAudit(t *testing.T, s persistence.Store, want messages.Audit) {
	t.Helper()
	trail := auditOf(t, s, want.Subject)
	if len(trail) != 1 {
		t.Fatalf("%d entries, want 1", len(trail))
	}
	wantAudit(t, trail[0], want)
}

func wantAudit(t *testing.T, got, want messages.Audit) {
	t.Helper()
	if !storedTime(got.At) {
		t.Fatalf("the entry is of %v", got.At)
	}
	wantJSON(t, got.Detail, want.Detail)
	got.At, got.Detail, want.At, want.Detail = time.Time{}, nil, time.Time{}, nil
	wantEqual(t, "entry", got, want)
}

func releaseDisabledUser(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	noError(t, s.DisableUser(t.Context(), u.ID, messages.Audit{By: "cli", Action: "user.disabled", Subject: uuid.NewString()}))
	wantHeld(t, s, call)
	wantKind(t, commitOne(t, s, renewalOf(call, time.Hour, 0)), messages.OutcomeDone)
	end(t, s, call)
	wantFree(t, s, u.ID, c.ID)
}
