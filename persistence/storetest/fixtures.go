package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func newUserID() messages.UserID     { return messages.UserID{UUID: uuid.New()} }
func newClientID() messages.ClientID { return messages.ClientID{UUID: uuid.New()} }
func newCallID() messages.CallID     { return messages.CallID{UUID: uuid.New()} }
func newLogID() messages.LogID       { return messages.LogID{UUID: uuid.New()} }

// newUser describes a person nobody has described before.
func newUser(first, last string) messages.NewUser {
	return messages.NewUser{
		User: messages.User{
			FirstName: first, LastName: last,
			Email: uuid.NewString() + "@example.com",
			Role:  messages.RoleUser,
		},
		PasswordHash: "$hash$" + first,
	}
}

func addUser(t *testing.T, s persistence.Store) messages.User {
	t.Helper()
	return addUsers(t, s, 1)[0]
}

func addUsers(t *testing.T, s persistence.Store, n int) []messages.User {
	t.Helper()
	people := make([]messages.NewUser, n)
	for i := range people {
		people[i] = newUser(fmt.Sprintf("First%d", i), fmt.Sprintf("Last%d", i))
	}
	users, err := s.AddUsers(t.Context(), people)
	noError(t, err)
	if len(users) != n {
		t.Fatalf("AddUsers returned %d users, want %d", len(users), n)
	}
	return users
}

// newClient describes a client with an id of its own.
func newClient(name string) messages.Client {
	return messages.Client{
		ID: newClientID(), Name: name, Phone: "+14155550100",
		Email: uuid.NewString() + "@example.org", Attributes: []byte(`{}`),
	}
}

func addClient(t *testing.T, s persistence.Store) messages.Client {
	t.Helper()
	return addClients(t, s, 1)[0]
}

func addClients(t *testing.T, s persistence.Store, n int) []messages.Client {
	t.Helper()
	clients := make([]messages.Client, n)
	for i := range clients {
		clients[i] = newClient(fmt.Sprintf("Client %03d", i))
	}
	noError(t, s.AddClients(t.Context(), clients))
	return clients
}

// claimOf is a claim for an hour.
func claimOf(u messages.User, c messages.Client) messages.Write {
	return messages.Write{
		Kind: messages.WriteClaim, User: u.ID, Client: c.ID,
		Call: newCallID(), Lease: time.Hour,
	}
}

func releaseOf(call messages.Call) messages.Write {
	return messages.Write{
		Kind: messages.WriteRelease, User: call.UserID, Client: call.ClientID,
		Call: call.ID, Token: call.Token, Reason: messages.ReasonCompleted,
	}
}

func expiryOf(call messages.Call) messages.Write {
	w := releaseOf(call)
	w.Reason = messages.ReasonExpired
	return w
}

func renewalOf(call messages.Call, lease, slack time.Duration) messages.Write {
	return messages.Write{
		Kind: messages.WriteRenew, User: call.UserID, Client: call.ClientID,
		Call: call.ID, Token: call.Token, Lease: lease, Slack: slack,
	}
}

func noteOf(u messages.User, log *messages.CallLog) messages.Write {
	return messages.Write{Kind: messages.WriteNote, User: u.ID, Client: log.ClientID, Log: log}
}

func logOf(u messages.User, c messages.Client, notes string) *messages.CallLog {
	return &messages.CallLog{
		ID: newLogID(), ClientID: c.ID, UserID: u.ID,
		CallType: "outbound", CallStatus: "completed", Notes: notes,
	}
}

// newKey is an idempotency key that nobody has used. The digest is made of
// the request's text.
func newKey(request string) *messages.Key {
	k := &messages.Key{Caller: "user:" + uuid.NewString(), Value: uuid.NewString()}
	copy(k.Digest[:], request)
	return k
}

func withKey(w messages.Write, k *messages.Key) messages.Write {
	w.Key = k
	return w
}

// commit writes a batch that must be committed, and holds each outcome to what
// is true of every outcome.
func commit(t *testing.T, s persistence.Store, batch ...messages.Write) []messages.Outcome {
	t.Helper()
	given := slices.Clone(batch)
	outcomes, err := s.Commit(t.Context(), given)
	noError(t, err)
	clear(given) // as who writes the next batch over it
	if len(outcomes) != len(batch) {
		t.Fatalf("Commit returned %d outcomes for %d writes", len(outcomes), len(batch))
	}
	for i, o := range outcomes {
		if fault := malformed(batch[i], o); fault != "" {
			t.Fatalf("outcome %d (%s of %s): %s: %+v", i, outcomeName(o.Kind), writeName(batch[i].Kind), fault, o)
		}
	}
	return outcomes
}

func commitOne(t *testing.T, s persistence.Store, w messages.Write) messages.Outcome {
	t.Helper()
	return commit(t, s, w)[0]
}

// start commits a claim that must succeed.
func start(t *testing.T, s persistence.Store, u messages.User, c messages.Client) messages.Call {
	t.Helper()
	return startFor(t, s, u, c, time.Hour)
}

func startFor(t *testing.T, s persistence.Store, u messages.User, c messages.Client, lease time.Duration) messages.Call {
	t.Helper()
	w := claimOf(u, c)
	w.Lease = lease
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeDone)
	return o.Call
}

func end(t *testing.T, s persistence.Store, call messages.Call) {
	t.Helper()
	wantKind(t, commitOne(t, s, releaseOf(call)), messages.OutcomeDone)
}

// waitExpired waits until the store itself says that the call's lease has run
// out.
func waitExpired(t *testing.T, s persistence.Store, call messages.Call) {
	t.Helper()
	waitFor(t, "the lease of "+call.ID.String()+" to run out", func() bool {
		expired, err := s.Expired(t.Context(), 1000)
		noError(t, err)
		for _, h := range expired {
			if h.ID == call.ID {
				return true
			}
		}
		return false
	})
}

// waitFor asks again and again until the condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// heldBy returns the claim of the user, or nil.
func heldBy(t *testing.T, s persistence.Store, id messages.UserID) *messages.HeldClaim {
	t.Helper()
	claims, err := s.ClaimsOfUsers(t.Context(), []messages.UserID{id})
	noError(t, err)
	return atMostOne(t, claims)
}

// holderOf returns the claim of the client, or nil.
func holderOf(t *testing.T, s persistence.Store, id messages.ClientID) *messages.HeldClaim {
	t.Helper()
	claims, err := s.ClaimsOfClients(t.Context(), []messages.ClientID{id})
	noError(t, err)
	return atMostOne(t, claims)
}

func atMostOne(t *testing.T, claims []messages.HeldClaim) *messages.HeldClaim {
	t.Helper()
	switch len(claims) {
	case 0:
		return nil
	case 1:
		return &claims[0]
	}
	t.Fatalf("%d claims where I1 and I2 allow one: %+v", len(claims), claims)
	return nil
}

// wantHeld fails unless exactly this call is in progress for its user and its
// client.
func wantHeld(t *testing.T, s persistence.Store, call messages.Call) {
	t.Helper()
	for _, h := range []*messages.HeldClaim{heldBy(t, s, call.UserID), holderOf(t, s, call.ClientID)} {
		if h == nil {
			t.Fatalf("call %s is not in progress", call.ID)
		}
		if diff := cmp.Diff(call, h.Call); diff != "" {
			t.Fatalf("the call in progress is another (-want +got):\n%s", diff)
		}
	}
}

func wantFree(t *testing.T, s persistence.Store, u messages.UserID, c messages.ClientID) {
	t.Helper()
	if h := heldBy(t, s, u); h != nil {
		t.Fatalf("user is on call %+v, want none", h)
	}
	if h := holderOf(t, s, c); h != nil {
		t.Fatalf("client is in call %+v, want none", h)
	}
}

func wantKind(t *testing.T, o messages.Outcome, want messages.OutcomeKind) {
	t.Helper()
	if o.Kind != want {
		t.Fatalf("outcome is %s, want %s: %+v", outcomeName(o.Kind), outcomeName(want), o)
	}
}

func wantCode(t *testing.T, err error, want messages.Code) {
	t.Helper()
	if got := messages.CodeOf(err); got != want {
		t.Fatalf("error has code %q, want %q: %v", got, want, err)
	}
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func writeName(k messages.WriteKind) string {
	names := [...]string{"nothing", "claim", "release", "renewal", "note"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("write(%d)", k)
}

func outcomeName(k messages.OutcomeKind) string {
	names := [...]string{
		"nothing", "Done", "ClientHeld", "UserHeld", "NoUser", "NoClient", "CallOver",
		"NotExpired", "Replayed", "KeyReused", "NotSuperseded", "CallGone", "FoundOver", "NotApplied", "Refused", "Unknown",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("outcome(%d)", k)
}

// allLogs returns the logs about a client, newest first.
func allLogs(t *testing.T, s persistence.Store, id messages.ClientID) []messages.CallLog {
	t.Helper()
	logs, _, err := s.ListLogs(t.Context(), messages.LogQuery{ClientID: id, Page: 1, Limit: 1000})
	noError(t, err)
	return logs
}

// auditOf returns what the trail says about a subject, newest first.
func auditOf(t *testing.T, s persistence.Store, subject string) []messages.Audit {
	t.Helper()
	trail, err := s.AuditTrail(t.Context(), 10_000)
	noError(t, err)
	var of []messages.Audit
	for _, a := range trail {
		if a.Subject == subject {
			of = append(of, a)
		}
	}
	return of
}

func newAudit(action string) messages.Audit {
	return messages.Audit{
		By: "cli:tester", Action: action, Subject: "test:" + uuid.NewString(),
		Detail: []byte(`{"reason":"` + strings.ReplaceAll(action, ".", " ") + `"}`),
	}
}
