package natsapi

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/spans"
	"github.com/dibs-calls/dibs/transport/spans/spanstest"
	"github.com/dibs-calls/dibs/transport/wire"
)

// Every request has one span below that of who asks, as the semantic conventions
// have it.
func TestSpansOfRequests(t *testing.T) {
	recorder := spanstest.New()
	a := newAsking(t, func(c *ServiceConfig) { c.Tracing = &recorder.Tracing })
	for _, tt := range []struct {
		subject, body, header string
		says                  messages.Code
		want, name, status    string
	}{
		{"dibs.rpc.start", theStart(), "traceparent", messages.OK, "", "dibs.rpc.start", "Unset"},
		{"dibs.rpc.start.zebedee", theStart(), "Traceparent", messages.OK, "", "dibs.rpc.start.*", "Unset"},
		{"dibs.rpc.start", theStart(), "traceparent", messages.CodeClientBeingCalled, "client_being_called", "dibs.rpc.start", "Unset"},
		{"dibs.rpc.end", userAnd(`,"notes":"zebedee"`), "TRACEPARENT", messages.CodeUnavailable, "unavailable", "dibs.rpc.end", "Error"},
		{"dibs.rpc.end", "{", "traceparent", messages.OK, "bad_request", "dibs.rpc.end", "Unset"},
	} {
		a.engine.set(func(e *engine) {
			e.says = messages.Answer{Code: tt.says}
			if call := theCall; tt.says == messages.OK {
				e.says.Call = &call
			}
		})
		a.ask(tt.subject, tt.body, tt.header, spanstest.CallersParent)
		said := recorder.Text()
		taken := recorder.Take()
		if len(taken) != 1 {
			t.Fatalf("%s: %d spans: %+v", tt.subject, len(taken), taken)
		}
		attributes := map[string]string{"messaging.system": "nats", "messaging.operation.name": "process",
			"messaging.operation.type": "process", "messaging.destination.name": tt.name, "messaging.consumer.group.name": "dibs",
			"messaging.message.body.size": taken[0].Attributes["messaging.message.body.size"]}
		if tt.want != "" {
			attributes["dibs.code"] = tt.want
		}
		if tt.status == "Error" {
			attributes["error.type"] = tt.want
		}
		want := spanstest.Span{Name: "process " + tt.name, Kind: "consumer", Trace: spanstest.CallersTrace, ID: taken[0].ID,
			Parent: spanstest.CallersSpan, Status: tt.status, Attributes: attributes}
		if diff := cmp.Diff(want, taken[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.subject, diff)
		}
		if strings.Contains(said, "zebedee") || strings.Contains(said, "Ana") {
			t.Errorf("%s says %s", tt.subject, said)
		}
	}
}

// Who is refused before their request was looked at has a span as well.
func TestSpansOfRefusedRequests(t *testing.T) {
	recorder := spanstest.New()
	a := newAsking(t, func(c *ServiceConfig) { c.Tracing, c.Reachable = &recorder.Tracing, func() bool { return false } })
	a.refused(messages.CodeUnavailable, "dibs.rpc.start", theStart(), "traceparent", spanstest.CallersParent)
	if taken := recorder.Take(); len(taken) != 1 || taken[0].Status != "Error" || taken[0].Trace != spanstest.CallersTrace {
		t.Errorf("%+v", taken)
	}
}

// Who reads the log of a failure finds its trace.
func TestTraceOfAFailureIsLogged(t *testing.T) {
	recorder := spanstest.New()
	for _, tracing := range []*spans.Tracing{nil, &recorder.Tracing} {
		var logged bytes.Buffer
		s := &Service{cfg: ServiceConfig{Tracing: tracing}, log: slog.New(slog.NewTextHandler(&logged, nil))}
		x := &rpc{service: s, endpoint: &endpoint{name: "start"}, subject: "dibs.rpc.start",
			header: micro.Headers{"traceparent": {spanstest.CallersParent}}}
		x.begin()
		x.refuse(nats.NewMsg("reply"), wire.Internal("a defect"))
		if has := strings.Contains(logged.String(), "trace_id="+spanstest.CallersTrace); has != (tracing != nil) || logged.Len() == 0 {
			t.Errorf("tracing %v: logged %s", tracing != nil, &logged)
		}
	}
}

// What the engine is asked is asked within the span of the request.
func TestRequestsAreServedInTheirSpan(t *testing.T) {
	recorder := spanstest.New()
	s := &Service{cfg: ServiceConfig{Tracing: &recorder.Tracing}}
	x := &rpc{service: s, endpoint: &endpoint{name: "start"}, subject: "dibs.rpc.start"}
	x.begin()
	_, child := recorder.Tracer.Start(x.context(), "child")
	child.End()
	x.end(nil)
	if taken := recorder.Take(); len(taken) != 2 || taken[0].Parent != taken[1].ID || taken[0].Trace != taken[1].Trace {
		t.Errorf("%+v", taken)
	}
	x = &rpc{service: &Service{}}
	x.begin()
	if n := testing.AllocsPerRun(100, func() { x.begin(); _ = x.context(); x.end(nil) }); n > 0 || x.span != nil {
		t.Errorf("without tracing there are %v allocations", n)
	}
}
