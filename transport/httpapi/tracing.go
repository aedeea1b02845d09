package httpapi

import (
	"net/http"
	"strconv"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/spans"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// server is how a route is served: within a span, if there is tracing and the
// route is no probe. Those are asked every few seconds for ever, and would be most
// of what an idle server says.
func (a *API) server(rt *route) func(w http.ResponseWriter, r *http.Request) {
	if a.Tracing == nil || rt.probe {
		return func(w http.ResponseWriter, r *http.Request) { a.serve(rt, w, r) }
	}
	return func(w http.ResponseWriter, r *http.Request) { a.serveTraced(rt, w, r) }
}

// serveTraced is serve within a span that follows the semantic conventions for
// HTTP servers.
func (a *API) serveTraced(rt *route, w http.ResponseWriter, r *http.Request) {
	ctx := a.Tracing.Propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	name, about := a.describe(rt, r)
	ctx, span := a.Tracing.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(about...))
	x := &exchange{w: w, r: r.WithContext(ctx), route: rt, rooms: &a.rooms}
	defer func() { // also when the answer is broken off, which is a panic
		finish(span, x.status)
	}()
	a.exchange(x)
}

// describe is what is known of a request when it comes. The path is that of the
// route: an address that somebody asks for may have anybody's name in it.
func (a *API) describe(rt *route, r *http.Request) (name string, about []attribute.KeyValue) {
	scheme := "http"
	if a.secure(r) {
		scheme = "https"
	}
	version := strconv.Itoa(r.ProtoMajor)
	if r.ProtoMajor < 2 {
		version += "." + strconv.Itoa(r.ProtoMinor)
	}
	about = make([]attribute.KeyValue, 0, 5)
	about = append(about, semconv.URLSchemeKey.String(scheme), semconv.NetworkProtocolVersionKey.String(version))
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
		http.MethodPatch, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		name = r.Method
		about = append(about, semconv.HTTPRequestMethodKey.String(name))
	default:
		name = "HTTP"
		about = append(about, semconv.HTTPRequestMethodOther)
	}
	if !rt.unmatched {
		name += " " + rt.pattern
		about = append(about, semconv.HTTPRouteKey.String(rt.pattern), semconv.URLPathKey.String(rt.pattern))
	}
	return name, about
}

// finish ends the span of a request.
func finish(span trace.Span, status int) {
	if status != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCodeKey.Int(status))
	} else {
		span.SetStatus(codes.Error, "") // nothing was answered
	}
	span.End()
}

// mark says in the span of a request, if it has one, why it is refused.
func (a *API) mark(x *exchange, code messages.Code, status int) {
	if a.Tracing == nil {
		return
	}
	if span := trace.SpanFromContext(x.r.Context()); span.IsRecording() {
		spans.Refused(span, code, status)
	}
}
