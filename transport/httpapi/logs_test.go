package httpapi

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

func TestSavingTheLogEndsTheCall(t *testing.T) {
	w := newWorld(t)
	call := w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200).str("call.id")
	log := m{"client_id": w.yuri, "call_type": "inbound", "call_status": "missed"}
	w.do("Ana", "POST", "/api/call-logs", log).is(201).has("callLog.call_id", nil, "callLog.call_duration", nil)
	w.do("Ana", "PUT", statusPath, start(w.yuri)).is(409, messages.CodeUserOnCall)
	w.do("Ana", "POST", "/api/call-logs", m{"client_id": w.xenia, "call_type": "outbound", "call_status": "completed",
		"call_duration": 61, "notes": " signed ", "callback_requested": true, "callback_time": "2026-03-02T10:00:00+01:00",
		"call_started_at": "2026-03-01T09:00:00.123456789Z", "call_ended_at": nil, "user_name": "ignored"}).is(201).has(
		"callLog.call_id", call, "callLog.user_id", w.ana.ID, "callLog.notes", "signed", "callLog.call_duration", 61,
		"callLog.callback_time", "2026-03-02T09:00:00Z", "callLog.call_started_at", "2026-03-01T09:00:00.123456Z",
		"callLog.call_ended_at", nil)
	w.do("Ana", "PUT", statusPath, start(w.yuri)).is(200)
}

func TestWhoSavesLogs(t *testing.T) {
	w := newWorld(t)
	log := func(user any) m {
		l := m{"client_id": w.xenia, "call_type": "outbound", "call_status": "busy"}
		if user != nil {
			l["user_id"] = user
		}
		return l
	}
	w.do("Ana", "POST", "/api/call-logs", log(w.ben.ID)).is(403, messages.CodeForbidden)
	w.do("Dialer", "POST", "/api/call-logs", log(nil)).is(400, messages.CodeBadRequest)
	w.do("Dialer", "POST", "/api/call-logs", log(w.ben.ID)).is(201).has("callLog.user_id", w.ben.ID)
	w.do("Adele", "POST", "/api/call-logs", log(w.ben.ID)).is(201)
	w.do("Adele", "POST", "/api/call-logs", log(uuid.New())).is(404, messages.CodeUserNotFound)
	l := log(nil)
	l["client_id"] = uuid.New()
	w.do("Ana", "POST", "/api/call-logs", l).is(404, messages.CodeClientNotFound)
}

func TestBadLogs(t *testing.T) {
	w := newWorld(t)
	good := `"client_id":"` + w.xenia.String() + `","call_type":"outbound","call_status":"completed"`
	tests := []struct{ body, names string }{
		{`{}`, "client_id"}, {`{"client_id":"x"}`, "client_id"},
		{`{"client_id":"` + w.xenia.String() + `"}`, "call_type"},
		{`{"client_id":"` + w.xenia.String() + `","call_type":"sideways"}`, "call_type"},
		{`{"client_id":"` + w.xenia.String() + `","call_type":"inbound","call_status":"sold"}`, "call_status"},
		{`{` + good + `,"call_duration":-1}`, "call_duration"}, {`{` + good + `,"call_duration":604801}`, "call_duration"},
		{`{` + good + `,"call_duration":1.5}`, "call_duration"}, {`{` + good + `,"call_duration":"60"}`, "call_duration"},
		{`{` + good + `,"notes":"` + strings.Repeat("x", maxNotes+1) + `"}`, "notes"}, {`{` + good + `,"notes":"\u0000"}`, "notes"},
		{`{` + good + `,"callback_requested":"yes"}`, "callback_requested"},
		{`{` + good + `,"callback_time":"tomorrow"}`, "callback_time"}, {`{` + good + `,"callback_time":7}`, "callback_time"},
		{`{` + good + `,"call_started_at":"9999-12-31T23:59:59-05:00"}`, "call_started_at"},
		{`{` + good + `,"call_ended_at":"0001-01-01T00:00:00Z"}`, "call_ended_at"},
	}
	for _, tt := range tests {
		got := w.do("Ana", "POST", "/api/call-logs", tt.body)
		if got.status != 400 || !strings.Contains(got.str("error"), tt.names) {
			t.Errorf("%.80q: %d %s, want 400 that names %s", tt.body, got.status, got.body, tt.names)
		}
	}
	if len(w.store.logs) > 0 {
		t.Error("something was kept")
	}
}

func TestListLogs(t *testing.T) {
	w := newWorld(t)
	for _, who := range []string{"Ana", "Ben"} {
		for _, client := range []messages.ClientID{w.xenia, w.yuri} {
			w.do(who, "POST", "/api/call-logs", m{"client_id": client, "call_type": "outbound", "call_status": "busy"}).is(201)
		}
	}
	own := w.do("Ana", "GET", "/api/call-logs", nil).is(200).has("totalCount", 2, "callLogs.0.users.first_name", "Ana",
		"callLogs.0.clients.name", "Yuri", "callLogs.1.clients.name", "Xenia", "totalPages", 1)
	if n := len(own.at("callLogs").([]any)); n != 2 {
		t.Errorf("%d logs", n)
	}
	ben := "userId=" + w.ben.ID.String()
	w.do("Ana", "GET", "/api/call-logs?"+ben, nil).is(403, messages.CodeForbidden)
	w.do("Ana", "GET", "/api/call-logs?userId="+w.ana.ID.String(), nil).is(200).has("totalCount", 2)
	w.do("Adele", "GET", "/api/call-logs", nil).is(200).has("totalCount", 4)
	w.key("Odd", messages.RoleUser, 0) // nobody's own
	w.do("Odd", "GET", "/api/call-logs", nil).is(403, messages.CodeForbidden)
	w.do("Odd", "GET", "/api/call-logs?userId="+w.ana.ID.String(), nil).is(403, messages.CodeForbidden)
	w.do("Dialer", "GET", "/api/call-logs?"+ben, nil).is(200).has("totalCount", 2)
	w.do("Adele", "GET", "/api/call-logs?limit=1&page=2&"+ben+"&clientId="+w.xenia.String(), nil).is(200).has("totalCount", 1, "callLogs", "[]")
	w.do("Adele", "GET", "/api/call-logs?status=completed", nil).is(200).has("totalCount", 0)
	w.do("Adele", "GET", "/api/call-logs?status=busy&limit=3", nil).is(200).has("totalCount", 4, "totalPages", 2)
	for _, bad := range []string{"userId=x", "userId=" + uuid.Nil.String(), "clientId=7", "status=sold", "status=%00", "page=0", "limit=5000"} {
		w.do("Adele", "GET", "/api/call-logs?"+bad, nil).is(400, messages.CodeBadRequest)
	}
}
