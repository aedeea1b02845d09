// Package spanstest keeps the spans of a test in memory, in a form that is compared
// with ease.
package spanstest

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/dibs-calls/dibs/transport/spans"
)

// A caller's trace, as traceparent says it.
const (
	CallersTrace  = "0af7651916cd43dd8448eb211c80319c"
	CallersSpan   = "b7ad6b7169203331"
	CallersParent = "00-" + CallersTrace + "-" + CallersSpan + "-01"
)

// Recorder keeps spans that have ended. It is safe for concurrent use.
type Recorder struct {
	spans.Tracing
	ended *tracetest.SpanRecorder
}

// New makes a recorder of all spans.
func New() *Recorder {
	ended := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(ended), trace.WithSampler(trace.AlwaysSample()))
	return &Recorder{Tracing: spans.Tracing{Tracer: provider.Tracer("test"), Propagator: propagation.TraceContext{}}, ended: ended}
}

// Span is a span that has ended.
type Span struct {
	Name, Kind        string
	Trace, ID, Parent string // Parent: zeros, if it has none
	Status            string // Unset, Error
	Attributes        map[string]string
}

// Take returns the spans that ended since it was called before, in that order.
func (r *Recorder) Take() []Span {
	all := r.ended.Ended()
	r.ended.Reset()
	taken := make([]Span, 0, len(all))
	for _, s := range all {
		span := Span{Name: s.Name(), Kind: s.SpanKind().String(), Trace: s.SpanContext().TraceID().String(),
			ID: s.SpanContext().SpanID().String(), Parent: s.Parent().SpanID().String(),
			Status: s.Status().Code.String(), Attributes: map[string]string{}}
		for _, a := range s.Attributes() {
			span.Attributes[string(a.Key)] = a.Value.String()
		}
		taken = append(taken, span)
	}
	return taken
}

// Text is everything that the spans say, to look for what they must not.
func (r *Recorder) Text() string {
	var out strings.Builder
	for _, s := range r.ended.Ended() {
		fmt.Fprintf(&out, "%s %q %q", s.Name(), s.Status().Description, s.SpanContext().TraceState().String())
		for _, a := range s.Attributes() {
			fmt.Fprintf(&out, " %s=%s", a.Key, a.Value.String())
		}
		fmt.Fprintf(&out, " %+v %+v\n", s.Events(), s.Links())
	}
	return out.String()
}
