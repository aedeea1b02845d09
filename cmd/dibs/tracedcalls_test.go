package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/transport/httpapi"
	"github.com/dibs-calls/dibs/transport/spans/spanstest"
)

// answering is an engine with one answer.
type answering struct {
	httpapi.Calls
	says   messages.Answer
	within trace.SpanContext // of the last command
}

func (a *answering) answer(ctx context.Context) messages.Answer {
	a.within = trace.SpanContextFromContext(ctx)
	return a.says
}

func (a *answering) StartCall(ctx context.Context, _ messages.StartCall) messages.Answer {
	return a.answer(ctx)
}

func (a *answering) EndCall(ctx context.Context, _ messages.EndCall) messages.Answer {
	return a.answer(ctx)
}

func (a *answering) RenewCall(ctx context.Context, _ messages.RenewCall) messages.Answer {
	return a.answer(ctx)
}

func (a *answering) SaveLog(ctx context.Context, _ messages.SaveLog) messages.Answer {
	return a.answer(ctx)
}

func TestSpansOfCommands(t *testing.T) {
	recorder := spanstest.New()
	engine := &answering{}
	calls := tracedCalls{engine, recorder.Tracer}
	user, client := messages.UserID{UUID: uuid.New()}, messages.ClientID{UUID: uuid.New()}
	asked, other := messages.CallID{UUID: uuid.New()}, messages.Call{ID: messages.CallID{UUID: uuid.New()}, ClientID: client, UserID: user}
	caller := &messages.Caller{Name: "Zebedee Quux"}
	start := func(ctx context.Context) {
		calls.StartCall(ctx, messages.StartCall{User: user, Client: client, Call: asked})
	}
	end := func(ctx context.Context) {
		calls.EndCall(ctx, messages.EndCall{User: user, Call: asked, Notes: "Zebedee", Disposition: "Zebedee"})
	}
	renew := func(ctx context.Context) {
		calls.RenewCall(ctx, messages.RenewCall{User: user, Call: asked})
	}
	log := func(ctx context.Context) {
		calls.SaveLog(ctx, messages.SaveLog{User: user, Log: messages.CallLog{ClientID: client, Notes: "Zebedee"}})
	}
	for _, tt := range []struct {
		action               string
		do                   func(context.Context)
		says                 messages.Answer
		client, call, status string
	}{
		{"start", start, messages.Answer{Call: &other}, client.String(), other.ID.String(), "Unset"},
		{"start", start, messages.Answer{Code: messages.CodeUserOnCall, Call: &other}, client.String(), asked.String(), "Unset"},
		{"start", start, messages.Answer{Code: messages.CodeClientBeingCalled, Caller: caller}, client.String(), asked.String(), "Unset"},
		{"start", start, messages.Answer{Code: messages.CodeOutcomeUnknown}, client.String(), asked.String(), "Error"},
		{"end", end, messages.Answer{Ended: &other}, client.String(), other.ID.String(), "Unset"},
		{"end", end, messages.Answer{Call: &other}, "", asked.String(), "Unset"}, // another call goes on
		{"renew", renew, messages.Answer{Call: &other}, client.String(), other.ID.String(), "Unset"},
		{"renew", renew, messages.Answer{Code: messages.CodeCallOver}, "", asked.String(), "Unset"},
		{"log", log, messages.Answer{Ended: &other}, client.String(), other.ID.String(), "Unset"},
		{"log", log, messages.Answer{}, client.String(), "", "Unset"},
	} {
		engine.says = tt.says
		ctx, request := recorder.Tracer.Start(t.Context(), "request")
		tt.do(ctx)
		request.End()
		said := recorder.Text()
		taken := recorder.Take()
		outcome, attributes := "ok", map[string]string{"dibs.action": tt.action, "dibs.user.id": user.String()}
		if tt.says.Code != messages.OK {
			outcome = string(tt.says.Code)
			attributes["dibs.code"] = outcome
		}
		if tt.status == "Error" {
			attributes["error.type"] = outcome
		}
		if attributes["dibs.outcome"] = outcome; tt.client != "" {
			attributes["dibs.client.id"] = tt.client
		}
		if tt.call != "" {
			attributes["dibs.call.id"] = tt.call
		}
		want := spanstest.Span{Name: "dibs " + tt.action, Kind: "internal", Trace: taken[1].Trace, ID: taken[0].ID,
			Parent: taken[1].ID, Status: tt.status, Attributes: attributes}
		if diff := cmp.Diff(want, taken[0]); diff != "" {
			t.Errorf("%s, %+v (-want +got):\n%s", tt.action, tt.says, diff)
		}
		if engine.within.SpanID().String() != taken[0].ID {
			t.Errorf("%s: the engine is asked within another span", tt.action)
		}
		if strings.Contains(said, "Zebedee") {
			t.Errorf("%s says %s", tt.action, said)
		}
	}
}

// failing is a journal with one answer.
type failing struct {
	persistence.Store
	err error
}

func (f *failing) Commit(_ context.Context, batch []messages.Write) ([]messages.Outcome, error) {
	return make([]messages.Outcome, len(batch)), f.err
}

func TestSpansOfBatches(t *testing.T) {
	recorder := spanstest.New()
	store := &failing{}
	journal := tracedJournal{store, recorder.Tracer, []attribute.KeyValue{attrStore.String("postgres")}}
	if outcomes, err := journal.Commit(t.Context(), make([]messages.Write, 3)); len(outcomes) != 3 || err != nil {
		t.Errorf("%v, %v", outcomes, err)
	}
	store.err = &messages.Error{Code: messages.CodeUnavailable, Cause: errors.New("Zebedee")}
	if _, err := journal.Commit(t.Context(), make([]messages.Write, 2)); !errors.Is(err, store.err) {
		t.Error(err)
	}
	if said := recorder.Text(); strings.Contains(said, "Zebedee") {
		t.Error(said)
	}
	taken := recorder.Take()
	want := []spanstest.Span{
		{Name: "dibs commit", Kind: "client", Status: "Unset", Attributes: map[string]string{"dibs.batch.size": "3", "dibs.store": "postgres"}},
		{Name: "dibs commit", Kind: "client", Status: "Error", Attributes: map[string]string{"dibs.batch.size": "2", "dibs.store": "postgres",
			"dibs.code": "unavailable", "error.type": "unavailable"}},
	}
	for i := range want {
		want[i].Trace, want[i].ID, want[i].Parent = taken[i].Trace, taken[i].ID, "0000000000000000"
	}
	if diff := cmp.Diff(want, taken); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Without tracing the transports ask the engine, and the engine writes to the store:
// there is nothing in between.
func TestNothingIsInBetweenWithoutTracing(t *testing.T) {
	n := &node{engine: &actors.System{}, store: &failing{}}
	if n.calls() != httpapi.Calls(n.engine) || n.journal() != actors.Journal(n.store) || n.tracing.transports() != nil {
		t.Error("there is")
	}
}
