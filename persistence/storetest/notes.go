package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func notePromises() []promise {
	return []promise{
		{"A log alone is saved as it was written", noteLog},
		{"A log touches no claim", noteLeavesClaim},
		{"NoClient: a log about an unknown or deleted client", noteNoClient},
		{"NoUser: a log by an unknown user", noteNoUser},
		{"Audit alone is written", noteAudit},
		{"A note with nothing in it is Done", noteEmpty},
		{"Audit of a refused log is not written", noteRefusedAudit},
	}
}

func noteLog(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	seconds, at := 754, time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)
	began, ended := at.Add(-time.Hour), at.Add(-time.Minute)
	log := logOf(u, c, "left a message")
	log.CallType, log.CallStatus, log.CallDuration = "inbound", "no_answer", &seconds
	log.CallbackRequested, log.CallbackTime = true, &at
	log.CallStartedAt, log.CallEndedAt = &began, &ended
	o := commitOne(t, s, noteOf(u, log))
	wantKind(t, o, messages.OutcomeDone)
	if o.Log == nil {
		t.Fatal("the outcome lacks the log")
	}
	want := *log
	want.CreatedAt = o.Log.CreatedAt
	wantEqual(t, "log in the outcome", *o.Log, want)
	wantSavedLog(t, s, want)
}

func noteLeavesClaim(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	wantKind(t, commitOne(t, s, noteOf(u, logOf(u, c, "meanwhile"))), messages.OutcomeDone)
	wantHeld(t, s, call)
}

func noteNoClient(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	noError(t, s.DeleteClient(t.Context(), c.ID, newAudit("client.deleted")))
	for _, c := range []messages.Client{c, {ID: newClientID()}} {
		o := commitOne(t, s, noteOf(u, logOf(u, c, "about nobody")))
		wantKind(t, o, messages.OutcomeNoClient)
		if o.Log != nil {
			t.Fatalf("the outcome has log %+v", o.Log)
		}
		wantEqual(t, "logs about the client", len(allLogs(t, s, c.ID)), 0)
	}
}

func noteNoUser(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	nobody := messages.User{ID: newUserID()}
	wantKind(t, commitOne(t, s, noteOf(nobody, logOf(nobody, c, "by nobody"))), messages.OutcomeNoUser)
	wantEqual(t, "logs about the client", len(allLogs(t, s, c.ID)), 0)
}

func noteAudit(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	audit := newAudit("call.cleaned_up")
	wantKind(t, commitOne(t, s, messages.Write{Kind: messages.WriteNote, User: u.ID, Audit: &audit}), messages.OutcomeDone)
	wantOneAudit(t, s, audit)
}

func noteEmpty(t *testing.T, s persistence.Store) {
	w := messages.Write{Kind: messages.WriteNote, User: addUser(t, s).ID}
	wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
}

func noteRefusedAudit(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	audit := newAudit("log.saved")
	w := noteOf(u, logOf(u, messages.Client{ID: newClientID()}, "about nobody"))
	w.Audit = &audit
	wantKind(t, commitOne(t, s, w), messages.OutcomeNoClient)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
}
