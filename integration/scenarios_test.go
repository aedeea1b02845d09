package integration

import (
	"net/http"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// TestSpecScenarios are the test scenarios 1 and 2 of the specification, step
// by step. (Scenario 3 is about the web page.)
func TestSpecScenarios(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		d.MustRun(t, "migrate", "up")
		importPeople(t, d,
			person{"ana@example.org", "Ana", "Alvarez", "user", password},
			person{"ben@example.org", "Ben", "Baker", "user", password})
		importClients(t, d, 2)
		s := d.Serve(t)
		s.WaitReady(readyLimit)

		anon := harness.NewClient(t, s.URL, "").Patient(storeAway)
		userA := anon.Login(t, "ana@example.org", password)
		userB := anon.Login(t, "ben@example.org", password)
		clients := userA.AllClients(t)
		clientX, clientY := clients[0].ID, clients[1].ID

		t.Run("1 basic conflict", func(t *testing.T) { basicConflict(t, userA, userB, clientX) })
		t.Run("2 multiple calls same user", func(t *testing.T) { multipleCalls(t, userA, clientX, clientY) })
	})
}

func basicConflict(t *testing.T, userA, userB *harness.Client, clientX messages.ClientID) {
	start := harness.Change{Action: "start_call", ClientID: clientX.String()}
	end := harness.Change{Action: "end_call"}

	// 1. User A starts calling Client X
	r := harness.Must(t, http.StatusOK)(userA.Put(t.Context(), start))
	if r.Message != "Call started successfully" || r.User == nil || !r.User.IsOnCall ||
		r.User.CurrentCallClientID == nil || *r.User.CurrentCallClientID != clientX || r.User.CallStartedAt == nil {
		t.Errorf("user A started: %s", r.Raw)
	}
	if a := userB.Availability(t, clientX); a.Available == nil || *a.Available || a.Caller == nil || a.Caller.Name != "Ana Alvarez" {
		t.Errorf("availability for user B: %s", a.Raw)
	}

	// 2. User B tries to call Client X → Should be blocked
	r = harness.Must(t, http.StatusConflict)(userB.Put(t.Context(), start))
	if want := "This client is already being called by Ana Alvarez. Please try again later."; r.Error != want {
		t.Errorf("user B was told %q, want %q", r.Error, want)
	}
	if r.Code != messages.CodeClientBeingCalled || r.Caller == nil || r.Caller.Name != "Ana Alvarez" {
		t.Errorf("user B was told %s", r.Raw)
	}

	// 3. User A ends call
	r = harness.Must(t, http.StatusOK)(userA.Put(t.Context(), end))
	if r.Message != "Call ended successfully" || r.User == nil || r.User.IsOnCall ||
		r.User.CurrentCallClientID != nil || r.User.CallStartedAt != nil {
		t.Errorf("user A ended: %s", r.Raw)
	}
	if a := userB.Availability(t, clientX); a.Available == nil || !*a.Available || a.Caller != nil {
		t.Errorf("availability after the end: %s", a.Raw)
	}

	// 4. User B can now call Client X → Should work
	harness.Must(t, http.StatusOK)(userB.Put(t.Context(), start))
	harness.Must(t, http.StatusOK)(userB.Put(t.Context(), end))
}

func multipleCalls(t *testing.T, userA *harness.Client, clientX, clientY messages.ClientID) {
	startX := harness.Change{Action: "start_call", ClientID: clientX.String()}
	startY := harness.Change{Action: "start_call", ClientID: clientY.String()}

	// 1. User A starts calling Client X
	first := harness.Must(t, http.StatusOK)(userA.Put(t.Context(), startX))

	// 2. User A tries to call Client Y → Should be blocked
	r := harness.Must(t, http.StatusConflict)(userA.Put(t.Context(), startY))
	if want := "You are already on a call. Please end your current call first."; r.Error != want {
		t.Errorf("user A was told %q, want %q", r.Error, want)
	}
	if r.Code != messages.CodeUserOnCall || r.Call == nil || first.Call == nil || r.Call.ID != first.Call.ID {
		t.Errorf("user A was told %s", r.Raw)
	}

	// 3. User A must end first call before starting another
	harness.Must(t, http.StatusOK)(userA.Put(t.Context(), harness.Change{Action: "end_call"}))
	second := harness.Must(t, http.StatusOK)(userA.Put(t.Context(), startY))
	if second.Call == nil || second.Call.ClientID != clientY {
		t.Errorf("user A started: %s", second.Raw)
	}
	harness.Must(t, http.StatusOK)(userA.Put(t.Context(), harness.Change{Action: "end_call"}))
}
