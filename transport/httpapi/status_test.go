package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
	"github.com/google/uuid"
)

const statusPath = "/api/user-status"

// The spec's test scenarios 1 and 2.
func TestSpecScenarios(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200).has(
		"message", "Call started successfully", "user.is_on_call", true, "user.first_name", "Ana",
		"user.role", "user", "user.current_call_client_id", w.xenia, "user.call_started_at", "2026-03-01T09:00:00Z",
		"call.client_id", w.xenia, "call.user_id", w.ana.ID, "call.token", 1, "call.lease_expires_at", "2026-03-01T11:00:00Z")
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(409, messages.CodeClientBeingCalled).has(
		"error", "This client is already being called by Ana Alvarez. Please try again later.",
		"caller.id", w.ana.ID, "caller.name", "Ana Alvarez", "caller.call_started_at", "2026-03-01T09:00:00Z")
	w.do("Ana", "PUT", statusPath, start(w.yuri)).is(409, messages.CodeUserOnCall).has(
		"error", "You are already on a call. Please end your current call first.", "call.client_id", w.xenia)
	w.do("Ana", "PUT", statusPath, m{"action": "end_call"}).is(200).has(
		"message", "Call ended successfully", "user.is_on_call", false,
		"user.current_call_client_id", nil, "user.call_started_at", nil, "ended.client_id", w.xenia)
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(200).has("call.token", 2)
	w.do("Ana", "PUT", statusPath, start(w.yuri)).is(200)
}

func TestEndCall(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "PUT", statusPath, m{"action": "end_call"}).is(200).has("user.is_on_call", false, "ended", nil)
	call := w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200).str("call.id")
	w.do("Ana", "PUT", statusPath, m{"action": "end_call", "call_id": uuid.New()}).is(200).has(
		"user.is_on_call", true, "user.current_call_client_id", w.xenia, "ended", nil)
	w.do("Ana", "PUT", statusPath, m{"action": "end_call", "call_id": call, "token": 7}).is(200).has("user.is_on_call", true)
	w.do("Ana", "PUT", statusPath, m{"action": "end_call", "call_id": call, "token": 1,
		"disposition": "sale", "notes": " signed "}).is(200).has("user.is_on_call", false, "ended.id", call)
	last := w.engine.ended[len(w.engine.ended)-1]
	if last.Disposition != "sale" || last.Notes != "signed" || last.Reason != messages.ReasonCompleted || last.Deadline.IsZero() {
		t.Errorf("the engine was told %+v", last)
	}
}

func TestRenewCall(t *testing.T) {
	w := newWorld(t)
	in := start(w.xenia)
	in["lease_seconds"] = 30
	call := w.do("Ana", "PUT", statusPath, in).is(200).has("call.lease_expires_at", "2026-03-01T09:00:30Z").str("call.id")
	w.clock.advance(20 * time.Second)
	renew := m{"action": "renew_call", "call_id": call, "token": 1}
	w.do("Ana", "PUT", statusPath, renew).is(200).has(
		"lease_expires_at", "2026-03-01T09:00:50Z", "call.lease_expires_at", "2026-03-01T09:00:50Z")
	w.do("Ana", "PUT", statusPath, m{"action": "renew_call", "call_id": call, "token": 2}).is(409, messages.CodeCallOver)
	w.do("Ben", "PUT", statusPath, renew).is(409, messages.CodeCallOver)
	w.do("Ana", "PUT", statusPath, m{"action": "end_call"}).is(200)
	w.do("Ana", "PUT", statusPath, renew).is(409, messages.CodeCallOver)
	w.do("Ana", "PUT", statusPath, m{"action": "renew_call", "call_id": call}).is(400)
	w.do("Ana", "PUT", statusPath, m{"action": "renew_call", "token": 1}).is(400)
}

func TestWhoActsForWhom(t *testing.T) {
	tests := []struct {
		who    string
		userID any
		status int
		code   messages.Code
	}{
		{"Ana", nil, 200, ""},
		{"Ana", "ana", 200, ""},
		{"Ana", "ben", 403, messages.CodeForbidden},
		{"Ana", uuid.NewString(), 403, messages.CodeForbidden},
		{"Adele", nil, 200, ""},
		{"Adele", "ben", 200, ""},
		{"Adele", uuid.NewString(), 404, messages.CodeUserNotFound},
		{"Dialer", nil, 400, messages.CodeBadRequest},
		{"Dialer", "ben", 200, ""},
		{"Dialer", "disabled", 404, messages.CodeUserNotFound},
		{"Dialer", uuid.NewString(), 404, messages.CodeUserNotFound},
		{"Dialer", "nobody", 400, messages.CodeBadRequest},
	}
	for _, action := range []string{"start_call", "end_call"} {
		for _, tt := range tests {
			w := newWorld(t)
			disabled := w.person("Dora", "Disabled", messages.RoleUser, "")
			w.store.accounts[disabled.ID] = messages.Account{User: disabled, Disabled: true}
			in := m{"action": action, "client_id": w.xenia}
			switch tt.userID {
			case nil:
			case "ana":
				in["user_id"] = w.ana.ID
			case "ben":
				in["user_id"] = w.ben.ID
			case "disabled":
				in["user_id"] = disabled.ID
			default:
				in["user_id"] = tt.userID
			}
			if tt.userID == "disabled" && action == "end_call" {
				continue // a call in progress of somebody who was disabled can be ended
			}
			got := w.do(tt.who, "PUT", statusPath, in)
			if got.status != tt.status || (tt.code != "" && got.str("code") != string(tt.code)) {
				t.Errorf("%s as %s for %v: %d %s", action, tt.who, tt.userID, got.status, got.body)
			}
			if tt.userID == "ben" && got.status == 200 {
				got.has("user.first_name", "Ben", "user.email", "ben@example.com")
			}
		}
	}
}

func TestBadStatusRequests(t *testing.T) {
	id := uuid.NewString()
	tests := []struct{ body, names string }{
		{``, "JSON"}, {`{`, "JSON"}, {`null`, "action"}, {`[]`, "object"}, {`"x"`, "object"}, {`7`, "object"},
		{`{} x`, "JSON"}, {`{}{}`, "JSON"}, {"{\"action\":\"end_call\xff\"}", "UTF-8"},
		{`{}`, "action"}, {`{"action":7}`, "action"}, {`{"action":"hang_up"}`, "action"},
		{`{"action":"start_call"}`, "client_id"}, {`{"action":"start_call","client_id":7}`, "client_id"},
		{`{"action":"start_call","client_id":"x"}`, "client_id"},
		{`{"action":"start_call","client_id":"{` + id[1:35] + `}"}`, "client_id"},
		{`{"action":"start_call","client_id":"urn:uuid:` + id + `"}`, "client_id"},
		{`{"action":"start_call","client_id":"` + id + `","user_id":{}}`, "user_id"},
		{`{"action":"start_call","client_id":"` + id + `","lease_seconds":0}`, "lease_seconds"},
		{`{"action":"start_call","client_id":"` + id + `","lease_seconds":86401}`, "lease_seconds"},
		{`{"action":"start_call","client_id":"` + id + `","lease_seconds":-1}`, "lease_seconds"},
		{`{"action":"start_call","client_id":"` + id + `","lease_seconds":1.5}`, "lease_seconds"},
		{`{"action":"start_call","client_id":"` + id + `","lease_seconds":1e30}`, "lease_seconds"},
		{`{"action":"start_call","client_id":"` + id + `","lease_seconds":"60"}`, "lease_seconds"},
		{`{"action":"end_call","call_id":"x"}`, "call_id"}, {`{"action":"end_call","call_id":"` + uuid.Nil.String() + `"}`, "call_id"},
		{`{"action":"end_call","user_id":"` + uuid.Nil.String() + `"}`, "user_id"}, {`{"action":"end_call","token":-1}`, "token"},
		{`{"action":"end_call","notes":"a\u0000b"}`, "notes"}, {`{"action":"end_call","disposition":"a\u0000b"}`, "disposition"},
		{`{"action":"end_call","notes":"` + strings.Repeat("x", maxNotes+1) + `"}`, "notes"},
		{`{"action":"end_call","disposition":"` + strings.Repeat("x", maxDisposition+1) + `"}`, "disposition"},
	}
	w := newWorld(t)
	for _, tt := range tests {
		got := w.do("Ana", "PUT", statusPath, tt.body)
		if got.status != 400 || !strings.Contains(got.str("error"), tt.names) {
			t.Errorf("%.80q: %d %s, want 400 that names %s", tt.body, got.status, got.body, tt.names)
		}
	}
	if len(w.engine.started)+len(w.engine.ended) > 0 {
		t.Error("the engine was asked")
	}
}

func TestToleratedStatusRequests(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"action":"end_call","unknown":{"deep":[1]},"is_on_call":false}`,
		`{"action":"start_call","action":"end_call"}`,
		`{"action":"end_call","notes":null,"call_id":null,"user_id":null,"token":null}`,
		" {\"action\" : \"end_call\"}\r\n",
	} {
		w.spec = nil // the document is stricter about null and doubles
		w.do("Ana", "PUT", statusPath, body).is(200)
	}
	r := w.request("Ana", "PUT", statusPath, `{"action":"end_call"}`)
	r.Header.Set("Content-Type", "text/plain") // browsers' fetch sends it with a string
	w.send(r).is(200)
}

func TestCodesOfTheEngine(t *testing.T) {
	w := newWorld(t)
	for _, code := range messages.Codes {
		w.engine.says = code
		how, _ := wire.RefusalOf(code)
		w.do("Ana", "PUT", statusPath, start(w.xenia)).is(how.Status, code)
	}
	w.engine.says = "something new"
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(500, messages.CodeInternal)
}

func TestListStatuses(t *testing.T) {
	w := newWorld(t)
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(200)
	all := w.do("Ana", "GET", statusPath, nil).is(200)
	all.has("users.0.first_name", "Adele", "users.1.first_name", "Ana", "users.2.first_name", "Ben",
		"users.1.is_on_call", false, "users.1.clients", nil, "users.1.call_started_at", nil,
		"users.2.is_on_call", true, "users.2.clients.name", "Xenia", "users.2.current_call_client_id", w.xenia)
	on := w.do("Ana", "GET", statusPath+"?on_call=true", nil).is(200).has("users.0.first_name", "Ben")
	if n := len(on.at("users").([]any)); n != 1 {
		t.Errorf("%d users on a call", n)
	}
	w.do("Ana", "GET", statusPath+"?on_call=perhaps", nil).is(400)
	w.do("Ben", "PUT", statusPath, m{"action": "end_call"}).is(200)
	if got := w.do("Ana", "GET", statusPath+"?on_call=true", nil).is(200); string(got.body) != `{"users":[],"stale":false}` {
		t.Errorf("%s", got.body)
	}
}

func TestStatusETag(t *testing.T) {
	w := newWorld(t)
	tag := w.do("Ana", "GET", statusPath, nil).is(200).header.Get("Etag")
	if len(tag) < 20 || tag[0] != '"' {
		t.Fatalf("ETag %q is not a strong one", tag)
	}
	for _, value := range []string{tag, "W/" + tag, `"other", ` + tag, "*", strings.TrimSuffix(tag, `"`) + `-gzip"`} {
		if got := w.do("Ana", "GET", statusPath, nil, "If-None-Match", value).is(304); len(got.body) > 0 {
			t.Errorf("304 with body %q", got.body)
		}
	}
	w.do("Ana", "GET", statusPath, nil, "If-None-Match", `"other"`).is(200)
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(200)
	if got := w.do("Ana", "GET", statusPath, nil, "If-None-Match", tag).is(200); got.header.Get("Etag") == tag {
		t.Error("another body has the same ETag")
	}
}

func TestForceRelease(t *testing.T) {
	w := newWorld(t)
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(200)
	path := "/api/user-status/" + w.ben.ID.String() + "/call"
	reason := m{"reason": "went home"}
	w.do("Ana", "DELETE", path, reason).is(403, messages.CodeForbidden)
	w.do("Ben", "DELETE", path, reason).is(403, messages.CodeForbidden)
	w.do("Dialer", "DELETE", path, reason).is(403, messages.CodeForbidden)
	for _, body := range []any{nil, "", "{}", m{"reason": " "}, m{"reason": strings.Repeat("x", 501)}, m{"reason": 7}, m{"reason": "a\x00"}} {
		w.do("Adele", "DELETE", path, body).is(400, messages.CodeBadRequest)
	}
	w.do("Adele", "DELETE", path, reason).is(200).has("user.first_name", "Ben", "user.is_on_call", false, "ended.client_id", w.xenia)
	w.do("Adele", "DELETE", path, reason).is(200).has("ended", nil)
	if len(w.store.audits) != 1 {
		t.Fatalf("%d entries on the audit trail", len(w.store.audits))
	}
	entry := w.store.audits[0]
	if entry.By != "user:"+w.admin.ID.String() || entry.Action != "call.force_released" ||
		entry.Subject != "user:"+w.ben.ID.String() || string(entry.Detail) != `{"reason":"went home"}` {
		t.Errorf("%+v %s", entry, entry.Detail)
	}
	w.do("Adele", "DELETE", "/api/user-status/"+uuid.NewString()+"/call", reason).is(404, messages.CodeUserNotFound)
	w.do("Adele", "DELETE", "/api/user-status/x/call", reason).is(400, messages.CodeBadRequest)
}

// A release that names a call ends that one, and none that began since.
func TestForceReleaseOfOneCall(t *testing.T) {
	w := newWorld(t)
	path := "/api/user-status/" + w.ben.ID.String() + "/call"
	named := func(id any) m { return m{"reason": "went home", "call_id": id} }
	shown := func() any {
		return w.do("Adele", "GET", statusPath+"?on_call=true", nil).is(200).at("users.0.current_call_id")
	}
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(200)
	seen := shown()
	w.do("Ben", "PUT", statusPath, m{"action": "end_call"}).is(200)
	w.do("Adele", "DELETE", path, named(seen)).is(409, messages.CodeCallOver).has("call", nil, "error", "This call is over.")
	next := w.do("Ben", "PUT", statusPath, start(w.yuri)).is(200).at("call.id")
	w.do("Adele", "DELETE", path, named(seen), "Idempotency-Key", "late").is(409, messages.CodeCallOver).has("call.id", next,
		"error", "This call is over. Ben Baker is on another call now, which goes on.")
	for _, id := range []any{"", nil, "x", 7, uuid.Nil, uuid.NewString()[:35]} {
		w.do("Adele", "DELETE", path, named(id)).is(400, messages.CodeBadRequest)
	}
	if len(w.store.claims) != 1 || len(w.store.audits) != 0 || shown() != next {
		t.Fatalf("another call than the one that was named: claims %v, audit %v", w.store.claims, w.store.audits)
	}

	for range 2 { // the same key: the first answer again, although the call is over by then
		w.do("Adele", "DELETE", path, named(next), "Idempotency-Key", "once").is(200).has("ended.id", next, "user.is_on_call", false)
	}
	w.do("Adele", "DELETE", path, named(next)).is(409, messages.CodeCallOver)
	if len(w.store.claims) != 0 || len(w.store.audits) != 1 {
		t.Errorf("claims %v, audit %v", w.store.claims, w.store.audits)
	}
}

func TestCleanUp(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200)
	w.do("Ben", "PUT", statusPath, start(w.yuri)).is(200)
	w.engine.age(w.ana.ID, 3*time.Hour)
	w.engine.age(w.ben.ID, time.Hour)
	w.do("Ana", "POST", statusPath, nil).is(403, messages.CodeForbidden)
	w.do("Dialer", "POST", statusPath, nil).is(403, messages.CodeForbidden)
	for _, bad := range []string{"x", "-1h", "0", "1e9h", "99999999999999999999", "%00"} {
		w.do("Adele", "POST", statusPath+"?older_than="+bad, nil).is(400, messages.CodeBadRequest)
	}
	w.do("Adele", "POST", statusPath, nil).is(200).has("cleaned_users.0.id", w.ana.ID,
		"cleaned_users.0.first_name", "Ana", "cleaned_users.0.last_name", "Alvarez",
		"message", "Ended 1 call older than 2 hours.")
	if got := w.do("Adele", "POST", statusPath, nil).is(200); len(got.at("cleaned_users").([]any)) != 0 {
		t.Errorf("%s", got.body)
	}
	w.do("Adele", "POST", statusPath+"?older_than=1800", nil).is(200).has("cleaned_users.0.first_name", "Ben")
	if len(w.store.audits) != 2 || w.store.audits[0].Action != "call.force_released" {
		t.Errorf("audit trail: %+v", w.store.audits)
	}
	for _, cmd := range w.engine.ended {
		if cmd.Call.IsZero() || cmd.Token == 0 || cmd.Reason != messages.ReasonForceReleased {
			t.Errorf("not fenced: %+v", cmd)
		}
	}
}

func TestCleanUpOfManyPages(t *testing.T) {
	w := newWorld(t)
	const many = 2*cleanUpPage + 7
	for range many {
		u := messages.UserID{UUID: uuid.New()}
		w.store.claims[u] = messages.HeldClaim{Name: "Gone Person", Call: messages.Call{UserID: u, Token: 1,
			ID: messages.CallID{UUID: uuid.New()}, StartedAt: w.clock.Now().Add(-5 * time.Hour)}}
	}
	got := w.do("Adele", "POST", statusPath, nil).is(200).has("cleaned_users.0.first_name", "Gone Person")
	if n := len(got.at("cleaned_users").([]any)); n != many || len(w.store.claims) != 0 {
		t.Errorf("%d cleaned, %d left", n, len(w.store.claims))
	}
}

func TestCleanUpWithoutStore(t *testing.T) {
	w := newWorld(t)
	w.do("Adele", "GET", "/api/auth/verify", nil).is(200) // known for the next two seconds
	w.store.setFault(coded(messages.CodeUnavailable))
	w.do("Adele", "POST", statusPath, nil).is(503, messages.CodeUnavailable)
}

func TestNothingInternalLeaks(t *testing.T) {
	w := newWorld(t)
	w.engine.panics = true
	got := w.do("Ana", "PUT", statusPath, start(w.xenia)).is(500, messages.CodeInternal)
	if strings.Contains(string(got.body), "secret") {
		t.Errorf("%s", got.body)
	}
	if !strings.Contains(w.logs.String(), "secret detail") {
		t.Error("the panic was not logged")
	}
	w.engine.panics = false
	w.do("Ana", "GET", statusPath, nil).is(200)
	w.store.setFault(errors.New("dial tcp 10.1.2.3: connection refused"))
	got = w.do("Ana", "GET", statusPath, nil).is(500, messages.CodeInternal)
	if strings.Contains(string(got.body), "10.1.2.3") {
		t.Errorf("%s", got.body)
	}
	w.store.setFault(&messages.Error{Code: messages.CodeInternal, Sentence: "table users is gone."})
	if got = w.do("Ana", "GET", statusPath, nil).is(500); strings.Contains(string(got.body), "table") {
		t.Errorf("%s", got.body)
	}
}

func TestStoreGone(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "GET", statusPath, nil).is(200)
	w.store.setFault(coded(messages.CodeUnavailable))
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(503, messages.CodeUnavailable)
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(503, messages.CodeUnavailable) // not even known
	w.store.setFault(nil)
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(200)
}

func TestHeadIsGet(t *testing.T) {
	w := newWorld(t)
	w.do("", "HEAD", "/healthz", nil).is(http.StatusOK)
	w.do("Ana", "HEAD", statusPath, nil).is(http.StatusOK)
}
