package httpapi

import (
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// Telephony servers know people by address and clients by number, and some of
// them can only POST.
func TestUsersByEmailAndClientsByPhone(t *testing.T) {
	w := newWorld(t)
	client := w.store.clients[w.xenia]
	client.Phone = "+12015550101"
	w.store.clients[w.xenia] = client
	byPhone := func(email, number string) m {
		return m{"action": "start_call", "user_email": email, "client_phone": number, "lease_seconds": 10}
	}
	for _, number := range []string{"+1 201 555 0101", "(201) 555-0101", "2015550101", "tel:+1-201-555-0101"} {
		got := w.do("Dialer", "POST", "/api/calls", byPhone("BEN@example.com", number)).is(200).has(
			"user.id", w.ben.ID, "call.client_id", w.xenia)
		call := m{"user_email": "ben@example.com", "call_id": got.at("call.id"), "token": got.at("call.token")}
		call["action"] = "renew_call"
		w.do("Dialer", "POST", "/api/calls", call).is(200)
		w.do("Ana", "PUT", statusPath, m{"action": "start_call", "client_phone": number}).is(409, messages.CodeClientBeingCalled)
		call["action"] = "end_call"
		w.do("Dialer", "PUT", statusPath, call).is(200).has("user.first_name", "Ben", "ended.client_id", w.xenia)
	}

	for _, tt := range []struct {
		who    string
		in     m
		status int
		code   messages.Code
	}{
		{"Dialer", byPhone("nobody@example.com", "2015550101"), 404, messages.CodeUserNotFound},
		{"Dialer", byPhone("ben@example.com", "2015550199"), 404, messages.CodeClientNotFound},
		{"Dialer", byPhone("ben@example.com", "4711"), 404, messages.CodeClientNotFound}, // an extension
		{"Dialer", byPhone("ben@example.com", "+16502530000"), 400, messages.CodeBadRequest},
		{"Dialer", byPhone("ben@example.com", "2015550101\x00"), 400, messages.CodeBadRequest},
		{"Dialer", byPhone("ben@example.com\x00", "2015550101"), 400, messages.CodeBadRequest},
		{"Dialer", byPhone("", "2015550101"), 400, messages.CodeBadRequest},
		{"Dialer", byPhone("ben@example.com", ""), 400, messages.CodeBadRequest},
		{"Ana", byPhone("ben@example.com", "2015550101"), 403, messages.CodeForbidden},
		{"Ana", byPhone("nobody@example.com", "2015550101"), 403, messages.CodeForbidden},
		{"Ana", byPhone("Ana@Example.com", "2015550101"), 200, ""},
		// An id counts more than what stands beside it.
		{"Adele", m{"action": "start_call", "user_id": w.ben.ID, "user_email": "nobody@example.com",
			"client_id": w.yuri, "client_phone": "2015550101"}, 200, ""},
	} {
		if got := w.do(tt.who, "PUT", statusPath, tt.in); got.status != tt.status || tt.code != "" && got.str("code") != string(tt.code) {
			t.Errorf("%s %v: %d %s", tt.who, tt.in, got.status, got.body)
		}
	}

	w.do("", "POST", "/api/calls", byPhone("ben@example.com", "2015550101")).is(401, messages.CodeUnauthenticated)
	w.store.setFault(coded(messages.CodeUnavailable))
	w.do("Dialer", "POST", "/api/calls", byPhone("ben@example.com", "2015550101")).is(503, messages.CodeUnavailable)
}

// The same key gives the first answer again.
func TestPostedCallsAreIdempotent(t *testing.T) {
	w := newWorld(t)
	in := m{"action": "start_call", "user_id": w.ben.ID, "client_id": w.xenia}
	first := w.do("Dialer", "POST", "/api/calls", in, "Idempotency-Key", "invite-1").is(200)
	again := w.do("Dialer", "POST", "/api/calls", in, "Idempotency-Key", "invite-1").is(200)
	if string(first.body) != string(again.body) {
		t.Errorf("%s, and then %s", first.body, again.body)
	}
	w.do("Dialer", "POST", "/api/calls", in, "Idempotency-Key", "invite-2").is(409, messages.CodeUserOnCall)
}
