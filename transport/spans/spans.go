// Package spans is what both transports, and whoever wires them, say to
// OpenTelemetry alike. It knows its API alone; what becomes of a span is the
// business of cmd/dibs.
//
// The model. A process that was told of no collector has no [Tracing], and nothing
// is made for it: no span, no context, no handler around another. With one, a
// request has a span, whose parent comes with the request, and what it asks of the
// engine a span below that.
//
// What is in a span. Names of the contract (routes, subjects, actions, codes) and
// ids. Never what somebody typed or is called: no names, addresses, numbers, notes,
// tokens, paths as they came, or texts of errors, which quote all of these. Traces
// go to other machines, are kept by other rules than the store, and are read by
// other people.
package spans

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/dibs-calls/dibs/messages"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Tracing makes spans. Nil: there are none.
type Tracing struct {
	Tracer trace.Tracer
	// Propagator reads from what a request carries which span it belongs to.
	Propagator propagation.TextMapPropagator
}

// Code is the attribute that says why something was not carried out.
const Code = attribute.Key("dibs.code")

// Refused says in a span why something was not carried out, and with which status
// that is told. Only what is the server's fault is an error: that a client is being
// called is a true answer.
func Refused(span trace.Span, code messages.Code, status int) {
	span.SetAttributes(Code.String(string(code)))
	if status >= http.StatusInternalServerError {
		span.SetAttributes(semconv.ErrorTypeKey.String(string(code)))
		span.SetStatus(codes.Error, "")
	}
}

// Logged adds to what is logged in which trace it happened, if in one.
func Logged(ctx context.Context, attrs []slog.Attr) []slog.Attr {
	if at := trace.SpanContextFromContext(ctx); at.HasTraceID() {
		return append(attrs, slog.String("trace_id", at.TraceID().String()))
	}
	return attrs
}
