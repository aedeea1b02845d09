package natsapi

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/dibs-calls/dibs/transport/spans"
	"github.com/dibs-calls/dibs/transport/wire"
)

// begin begins the span of a request, if there is tracing. It follows the semantic
// conventions for messaging; the name at the end of a subject is who asks, and only
// said to be there.
func (x *rpc) begin() {
	tracing := x.service.cfg.Tracing
	if tracing == nil {
		return
	}
	subject := rpcPrefix + x.endpoint.name
	if x.scope() != "" {
		subject += ".*"
	}
	ctx := tracing.Propagator.Extract(context.Background(), carrier{x})
	_, x.span = tracing.Tracer.Start(ctx, "process "+subject, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"),
		semconv.MessagingOperationNameKey.String("process"),
		semconv.MessagingOperationTypeProcess,
		semconv.MessagingDestinationNameKey.String(subject),
		semconv.MessagingConsumerGroupNameKey.String(rpcName),
		semconv.MessagingMessageBodySizeKey.Int(len(x.body)),
	))
}

// context is what a request is served in.
func (x *rpc) context() context.Context {
	if x.span == nil {
		return context.Background()
	}
	return trace.ContextWithSpan(context.Background(), x.span)
}

// end ends the span of a request, which was refused for p; nil: it was not.
func (x *rpc) end(p *wire.Problem) {
	if x.span == nil {
		return
	}
	if p != nil {
		how, body := p.Body()
		spans.Refused(x.span, body.Code, how.Status)
	}
	x.span.End()
}

// carrier reads the headers of a request as those of HTTP are read: NATS
// distinguishes traceparent from Traceparent, and those who write them do not.
type carrier struct{ x *rpc }

var _ propagation.ValuesGetter = carrier{}

// Get implements [propagation.TextMapCarrier].
func (c carrier) Get(key string) string {
	if lines := c.x.lines(key); len(lines) > 0 {
		return lines[0]
	}
	return ""
}

// Values implements [propagation.ValuesGetter].
func (c carrier) Values(key string) []string { return c.x.lines(key) }

// Set implements [propagation.TextMapCarrier]. A request is only read.
func (c carrier) Set(string, string) {}

// Keys implements [propagation.TextMapCarrier].
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c.x.header))
	for key := range c.x.header {
		keys = append(keys, key)
	}
	return keys
}
