package natsapi

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/messages"
)

func TestRequests(t *testing.T) {
	a := newAsking(t)
	got := a.granted("dibs.rpc.start", userAnd(`,"client_id":"`+theClient.String()+`","lease_seconds":30,"extra":1`))
	user, call := got["user"].(map[string]any), got["call"].(map[string]any)
	if user["first_name"] != "Ana" || user["is_on_call"] != true || call["id"] != theCall.ID.String() || got["message"] != "Call started successfully" {
		t.Errorf("start: %v", got)
	}
	cmd := a.told().started[0]
	if cmd.User.UUID != theUser || cmd.Client.UUID != theClient || cmd.Lease != 30*time.Second || cmd.Call.Version() != 7 || cmd.Key != nil || cmd.Deadline.IsZero() {
		t.Errorf("the engine was told %+v", cmd)
	}
	got = a.granted("dibs.rpc.renew", userAnd(`,"action":"renew_call","call_id":"`+theCall.ID.String()+`","token":1`))
	if got["lease_expires_at"] == nil || a.told().renewed[0].Token != 1 {
		t.Errorf("renew: %v", got)
	}
	a.engine.set(func(e *engine) { e.says = messages.Answer{Ended: &theCall} })
	got = a.granted("dibs.rpc.end", userAnd(`,"call_id":"`+theCall.ID.String()+`","disposition":"sale","notes":" x "`))
	if end := a.told().ended[0]; got["ended"] == nil || end.Disposition != "sale" || end.Notes != "x" || end.Reason != messages.ReasonCompleted {
		t.Errorf("end: %v %+v", got, end)
	}
	question := `{"client_id":"` + theClient.String() + `"}`
	if got = a.granted("dibs.rpc.availability", question); got["available"] != true || got["caller"] != nil {
		t.Errorf("availability: %v", got)
	}
	a.engine.set(func(e *engine) {
		e.says = messages.Answer{Caller: &messages.Caller{ID: messages.UserID{UUID: theUser}, Name: "Ana"}}
	})
	if got = a.granted("dibs.rpc.availability.floor-7", question); got["available"] != false || got["caller"].(map[string]any)["name"] != "Ana" {
		t.Errorf("availability: %v", got)
	}
}

func TestRefusedRequests(t *testing.T) {
	a := newAsking(t)
	id := uuid.NewString()
	for _, tt := range []struct {
		code                messages.Code
		subject, body, says string
	}{
		{messages.CodeBadRequest, "dibs.rpc.start", "", "JSON"},
		{messages.CodeBadRequest, "dibs.rpc.start", "[]", "object"},
		{messages.CodeBadRequest, "dibs.rpc.start", "\xff", "UTF-8"},
		{messages.CodeBadRequest, "dibs.rpc.start", theStart() + "x", "JSON"},
		{messages.CodeBadRequest, "dibs.rpc.start", `{"client_id":"` + id + `"}`, "user_id"},
		{messages.CodeBadRequest, "dibs.rpc.start", userAnd(""), "client_id"},
		{messages.CodeBadRequest, "dibs.rpc.start", userAnd(`,"client_id":7`), "client_id"},
		{messages.CodeBadRequest, "dibs.rpc.start", userAnd(`,"client_id":"` + id + `","lease_seconds":0`), "lease_seconds"},
		{messages.CodeBadRequest, "dibs.rpc.start", userAnd(`,"client_id":"` + id + `","action":"end_call"`), "action"},
		{messages.CodeBadRequest, "dibs.rpc.start.no$body", theStart(), "name"},
		{messages.CodeBadRequest, "dibs.rpc.start." + strings.Repeat("x", 65), theStart(), "name"},
		{messages.CodeBadRequest, "dibs.rpc.end", userAnd(`,"notes":"\u0000"`), "notes"},
		{messages.CodeBadRequest, "dibs.rpc.renew", userAnd(`,"call_id":"` + id + `"`), "token"},
		{messages.CodeBadRequest, "dibs.rpc.availability", `{"client_id":"x"}`, "client_id"},
		{messages.CodeUserNotFound, "dibs.rpc.start", `{"user_id":"` + id + `","client_id":"` + id + `"}`, "user"},
		{messages.CodeClientNotFound, "dibs.rpc.availability", `{"client_id":"` + id + `"}`, "client"},
		{messages.CodeTooLarge, "dibs.rpc.end", userAnd(strings.Repeat(" ", 64<<10)), "64 KiB"},
	} {
		if answer := a.refused(tt.code, tt.subject, tt.body); !strings.Contains(string(answer.Data), tt.says) {
			t.Errorf("%s: it says %s, not %q", tt.subject, answer.Data, tt.says)
		}
	}
	a.refused(messages.CodeTooLarge, "dibs.rpc.start", theStart(), "X-Large", strings.Repeat("x", 17<<10))
	for _, timeout := range []string{"", "x", "-1s", "0s"} {
		a.refused(messages.CodeBadRequest, "dibs.rpc.start", theStart(), timeoutHeader, timeout)
	}
	for _, key := range []string{"", strings.Repeat("x", 256), "é"} {
		a.refused(messages.CodeBadRequest, "dibs.rpc.start", theStart(), "Idempotency-Key", key)
	}
	a.refused(messages.CodeBadRequest, "dibs.rpc.start", theStart(), "Idempotency-Key", "a", "idempotency-key", "b")
	if len(a.told().started) > 0 {
		t.Error("the engine was asked")
	}
}

// Every code of the engine comes as over HTTP, in the body and in the headers.
func TestCodesOverNATS(t *testing.T) {
	a := newAsking(t)
	for _, code := range messages.Codes {
		a.engine.set(func(e *engine) { e.says = messages.Answer{Code: code} })
		a.refused(code, "dibs.rpc.start", theStart())
	}
	a.engine.set(func(e *engine) { e.says = messages.Answer{Code: "something new"} })
	a.refused(messages.CodeInternal, "dibs.rpc.start", theStart())
	a.engine.set(func(e *engine) {
		e.says = messages.Answer{Code: messages.CodeClientBeingCalled, Caller: &messages.Caller{Name: "Ana Alvarez\r\nX: y"}}
	})
	got := a.refused(messages.CodeClientBeingCalled, "dibs.rpc.start", theStart())
	if !strings.Contains(string(got.Data), `already being called by Ana Alvarez`) || got.Header.Get("Nats-Service-Error-Code") != "409" || got.Header.Get("X") != "" {
		t.Errorf("%v %s", got.Header, got.Data)
	}
	a.engine.set(func(e *engine) { e.says = messages.Answer{Code: messages.CodeUnavailable} })
	if got := a.refused(messages.CodeUnavailable, "dibs.rpc.start", theStart()); got.Header.Get("Retry-After") != "1" {
		t.Errorf("%v", got.Header)
	}
	a.engine.set(func(e *engine) { e.panics = true })
	if got := a.refused(messages.CodeInternal, "dibs.rpc.start", theStart()); strings.Contains(string(got.Data), "secret") {
		t.Errorf("%s", got.Data)
	}
}

// The scope of a key is the name that the server let the caller publish under.
func TestKeysOverNATS(t *testing.T) {
	a := newAsking(t)
	a.granted("dibs.rpc.start", theStart(), "Idempotency-Key", "k")
	a.granted("dibs.rpc.start", " "+theStart(), "idempotency-key", "k")
	a.granted("dibs.rpc.start.floor-7", theStart(), "Idempotency-Key", "k")
	a.granted("dibs.rpc.end", userAnd(""), "Idempotency-Key", "k")
	first, again, other, end := a.told().started[0].Key, a.told().started[1].Key, a.told().started[2].Key, a.told().ended[0].Key
	if *first != *again || first.Caller != "nats" || first.Value != "k" {
		t.Errorf("a retry: %+v, then %+v", first, again)
	}
	if other.Caller != "nats:floor-7" || other.Digest != first.Digest {
		t.Errorf("another caller: %+v", other)
	}
	if end.Digest == first.Digest {
		t.Error("an end has the digest of a start")
	}
}

func TestDeadlinesOverNATS(t *testing.T) {
	a := newAsking(t)
	a.granted("dibs.rpc.start", theStart())
	if a.told().left > rpcTimeout || a.told().left < rpcTimeout/2 {
		t.Errorf("without a header: %s", a.told().left)
	}
	a.granted("dibs.rpc.start", theStart(), timeoutHeader, "1h")
	if a.told().left > rpcLongest || a.told().left < rpcTimeout {
		t.Errorf("with an hour: %s", a.told().left)
	}
	a.engine.set(func(e *engine) { e.wait = make(chan struct{}) })
	defer close(a.told().wait)
	a.refused(messages.CodeOutcomeUnknown, "dibs.rpc.start", theStart(), timeoutHeader, "20ms")
}

// One request that waits holds up no other; beyond the limit they are refused
// at once, and when the store is away all are.
func TestOverloadOverNATS(t *testing.T) {
	var reachable sync.Map
	a := newAsking(t, func(c *ServiceConfig) {
		c.MaxInFlight = 2
		c.Reachable = func() bool { _, away := reachable.Load("away"); return !away }
	})
	a.engine.set(func(e *engine) { e.wait = make(chan struct{}) })
	first := make(chan *nats.Msg, 2)
	a.inBackground(first, "dibs.rpc.start.one", "dibs.rpc.start.two")
	waitFor(t, 10*time.Second, "both are in the engine", func() bool { return len(a.service.places) == 2 })
	a.refused(messages.CodeOverloaded, "dibs.rpc.start", theStart())
	a.refused(messages.CodeOverloaded, "dibs.rpc.availability", `{"client_id":"`+theClient.String()+`"}`)
	close(a.told().wait)
	for range 2 {
		if msg := <-first; msg.Header.Get(micro.ErrorHeader) != "" {
			t.Errorf("%v %s", msg.Header, msg.Data)
		}
	}
	waitFor(t, 10*time.Second, "the places are free", func() bool { return len(a.service.places) == 0 })
	a.granted("dibs.rpc.start", theStart())
	reachable.Store("away", true)
	a.refused(messages.CodeUnavailable, "dibs.rpc.start", theStart())
}

// inBackground asks for a start on each subject, and hands over the answers.
func (a *asking) inBackground(answers chan<- *nats.Msg, subjects ...string) {
	for _, subject := range subjects {
		go func() {
			msg, err := a.nc.Request(subject, []byte(theStart()), 20*time.Second)
			if err != nil {
				a.Error(err)
			}
			answers <- msg
		}()
	}
}

// A dialer that asks too much is refused before the others are: at a time, and
// by the second.
func TestOneCallerLeavesRoom(t *testing.T) {
	// The places of the process are not what this is about.
	a := newAsking(t, func(c *ServiceConfig) { c.MaxInFlight, c.Admission = 4, admission.New(admission.Options{}) })
	a.engine.set(func(e *engine) { e.wait = make(chan struct{}) })
	first := make(chan *nats.Msg, 4)
	a.inBackground(first, "dibs.rpc.start.greedy", "dibs.rpc.start.greedy")
	waitFor(t, 10*time.Second, "both are in the engine", func() bool { return len(a.service.places) == 2 })
	a.refused(messages.CodeRateLimited, "dibs.rpc.start.greedy", theStart())
	a.refused(messages.CodeRateLimited, "dibs.rpc.end.greedy", userAnd(""))
	a.inBackground(first, "dibs.rpc.start.modest", "dibs.rpc.start")
	waitFor(t, 10*time.Second, "so are those of others", func() bool { return len(a.service.places) == 4 })
	close(a.told().wait)
	for range 4 {
		if msg := <-first; msg.Header.Get(micro.ErrorHeader) != "" {
			t.Errorf("%v %s", msg.Header, msg.Data)
		}
	}
	waitFor(t, 10*time.Second, "the places are free", func() bool { return len(a.service.places) == 0 })
	a.granted("dibs.rpc.start.greedy", theStart())
	waitFor(t, 10*time.Second, "callers without a place are forgotten", func() bool {
		a.service.callers.mu.Lock()
		defer a.service.callers.mu.Unlock()
		return len(a.service.callers.taken) == 0
	})
}

func TestRatesOverNATS(t *testing.T) {
	a := newAsking(t, func(c *ServiceConfig) { c.RateLimit = .001 })
	a.granted("dibs.rpc.start.one", theStart())
	answer := a.refused(messages.CodeRateLimited, "dibs.rpc.end.one", userAnd(""))
	if answer.Header.Get("Nats-Service-Error-Code") != "429" || len(answer.Header.Get("Retry-After")) < 3 {
		t.Errorf("%v", answer.Header)
	}
	a.granted("dibs.rpc.start.two", theStart())
	a.granted("dibs.rpc.start", theStart())
	a.refused(messages.CodeRateLimited, "dibs.rpc.start", theStart())
}

// Nobody can have us publish where they may not themselves.
func TestAnswersGoToInboxesOnly(t *testing.T) {
	a := newAsking(t)
	sub, err := a.nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.nc.Publish("dibs.rpc.start", []byte(theStart())); err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"dibs.events.call.started.x.y", "dibs.rpc.end", "$JS.API.STREAM.DELETE.DIBS_EVENTS"} {
		if err := a.nc.PublishRequest("dibs.rpc.start", reply, []byte(theStart())); err != nil {
			t.Fatal(err)
		}
	}
	a.granted("dibs.rpc.start", theStart()) // was taken in after them
	if len(a.told().started) != 1 {
		t.Errorf("%d starts", len(a.told().started))
	}
	if n := testutil.ToFloat64(a.service.metrics.dropped.WithLabelValues("reply")); n != 4 {
		t.Errorf("%v dropped requests are counted", n)
	}
	for n := 0; n < 6; n++ { // five requests, one answer
		msg, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if msg.Subject != "dibs.rpc.start" && !strings.HasPrefix(msg.Subject, "_INBOX.") {
			t.Errorf("published on %s", msg.Subject)
		}
	}
}

// What was taken in is answered, what comes later is not.
func TestStopOfAService(t *testing.T) {
	a := newAsking(t)
	a.engine.set(func(e *engine) { e.wait = make(chan struct{}) })
	answered := make(chan *nats.Msg, 1)
	go func() {
		msg, err := a.nc.Request("dibs.rpc.start", []byte(theStart()), 20*time.Second)
		if err != nil {
			t.Error(err)
		}
		answered <- msg
	}()
	waitFor(t, 10*time.Second, "it is in the engine", func() bool { return len(a.service.places) == 1 })
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.service.Stop(short); err == nil {
		t.Error("it stopped with a request under way")
	}
	close(a.told().wait)
	stopService(t, a.service)
	if msg := <-answered; msg == nil || msg.Header.Get(micro.ErrorHeader) != "" {
		t.Errorf("%+v", msg)
	}
	if _, err := a.nc.Request("dibs.rpc.start", []byte(theStart()), 20*time.Second); err == nil {
		t.Error("a stopped service answers")
	}
}
