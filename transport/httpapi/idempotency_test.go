package httpapi

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

func TestIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	key := []string{"Idempotency-Key", "start 1"}
	first := w.do("Ana", "PUT", statusPath, start(w.xenia), key...).is(200)
	again := w.do("Ana", "PUT", statusPath, `{ "client_id":"`+w.xenia.String()+`" , "action":"start_call" }`, key...).is(200)
	if again.str("call.id") != first.str("call.id") {
		t.Errorf("a retry got another call: %s, %s", first.body, again.body)
	}
	w.do("Ana", "PUT", statusPath, start(w.yuri), key...).is(422, messages.CodeKeyReused)
	w.do("Ana", "PUT", statusPath, start(w.yuri)).is(409, messages.CodeUserOnCall)
	w.do("Ben", "PUT", statusPath, start(w.yuri), key...).is(200) // another caller's key is another key

	log := m{"client_id": w.xenia, "call_type": "outbound", "call_status": "completed"}
	saved := w.do("Ana", "POST", "/api/call-logs", log, "Idempotency-Key", "log 1").is(201)
	w.do("Ana", "POST", "/api/call-logs", log, "Idempotency-Key", "log 1").is(201).has("callLog.id", saved.str("callLog.id"))
	w.do("Ana", "POST", "/api/call-logs", log, key...).is(422, messages.CodeKeyReused)
	if len(w.store.logs) != 1 {
		t.Errorf("%d logs", len(w.store.logs))
	}

	before, client := len(w.store.clients), m{"name": "Once", "attributes": m{"a": 1}}
	made := w.do("Ana", "POST", "/api/clients", client, "Idempotency-Key", "client 1").is(201)
	w.do("Ana", "POST", "/api/clients", client, "Idempotency-Key", "client 1").is(201).has("client.id", made.str("client.id"), "client.attributes.a", 1)
	w.do("Ana", "POST", "/api/clients", m{"name": "Twice"}, "Idempotency-Key", "client 1").is(422, messages.CodeKeyReused)
	w.do("Ana", "POST", "/api/clients", client, "Idempotency-Key", "").is(400, messages.CodeBadRequest)
	w.do("Ben", "POST", "/api/clients", client, "Idempotency-Key", "client 1").is(201)
	if n := len(w.store.clients) - before; n != 2 {
		t.Errorf("%d clients were made, want one each", n)
	}

	path := "/api/user-status/" + w.ben.ID.String() + "/call"
	w.do("Adele", "DELETE", path, m{"reason": "x"}, "Idempotency-Key", "r").is(200).has("ended.client_id", w.yuri)
	w.do("Adele", "DELETE", path, m{"reason": "x"}, "Idempotency-Key", "r").is(200).has("ended.client_id", w.yuri)
	w.do("Adele", "DELETE", path, m{"reason": "y"}, "Idempotency-Key", "r").is(422, messages.CodeKeyReused)
	other := "/api/user-status/" + w.ana.ID.String() + "/call"
	w.do("Adele", "DELETE", other, m{"reason": "x"}, "Idempotency-Key", "r").is(422, messages.CodeKeyReused)
}

// A late retry of an end must not end the next call, nor a retry of a renewal
// renew again.
func TestRetriedEndAndRenewal(t *testing.T) {
	w := newWorld(t)
	end, key := m{"action": "end_call"}, []string{"Idempotency-Key", "k"}
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200)
	w.do("Ana", "PUT", statusPath, end, key...).is(200).has("ended.client_id", w.xenia)
	call := w.do("Ana", "PUT", statusPath, start(w.yuri)).is(200).str("call.id")
	w.do("Ana", "PUT", statusPath, end, key...).is(200).has("ended.client_id", w.xenia)
	renew := m{"action": "renew_call", "call_id": call, "token": 1}
	w.do("Ana", "PUT", statusPath, renew, "Idempotency-Key", "r").is(200)
	w.do("Ana", "PUT", statusPath, end).is(200).has("ended.client_id", w.yuri)
	w.do("Ana", "PUT", statusPath, renew, "Idempotency-Key", "r").is(200)
	w.do("Ana", "PUT", statusPath, renew).is(409, messages.CodeCallOver)
}

func TestKeysOfTheEngine(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200)
	in := start(w.yuri)
	in["user_id"] = w.ben.ID
	w.do("Dialer", "PUT", statusPath, in, "Idempotency-Key", strings.Repeat("~", 255)).is(200)
	if w.engine.started[0].Key != nil {
		t.Error("a request without a key got one")
	}
	key := w.engine.started[1].Key
	if key == nil || !strings.HasPrefix(key.Caller, "key:") || len(key.Value) != 255 || key.Digest == [32]byte{} {
		t.Errorf("%+v", key)
	}
	if a, b := w.engine.started[0].Call, w.engine.started[1].Call; a == b || a.Version() != 7 {
		t.Errorf("call ids %v, %v", a, b)
	}
}

func TestBadIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"", strings.Repeat("x", 256), "a\x01", "é", "a\tb"} {
		w.do("Ana", "PUT", statusPath, start(w.xenia), "Idempotency-Key", value).is(400, messages.CodeBadRequest)
	}
	w.do("Ana", "PUT", statusPath, start(w.xenia), "Idempotency-Key", "a", "Idempotency-Key", "b").is(400)
	if len(w.engine.started) > 0 {
		t.Error("the engine was asked")
	}
}
