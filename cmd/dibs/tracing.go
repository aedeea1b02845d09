package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/time/rate"

	"github.com/dibs-calls/dibs/transport/spans"
)

// tracing makes spans and sends them to a collector. Ended spans wait in a queue of
// bounded length, and one that finds it full is thrown away: a collector that is
// slow, or gone, costs spans and nothing else.
type tracing struct {
	spans.Tracing
	provider *trace.TracerProvider
	exporter *exporter
	log      *slog.Logger
}

// newTracing makes spans if cfg says so; else, and when they cannot be sent, there is
// no tracing, which is nil. node is the name of this process among those of a cluster.
func newTracing(ctx context.Context, cfg tracingConfig, node string, log *slog.Logger) *tracing {
	for _, unknown := range cfg.Unknown {
		log.Warn("a setting of OpenTelemetry is passed over, because dibs does not know its value", "setting", unknown)
	}
	if !cfg.On {
		return nil
	}
	log = sparing(log)
	// The SDK tells of its errors in no other way. They are the same for all of the
	// process, which has one of these.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("OpenTelemetry", "error", err) }))
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))

	to, err := newExporter(ctx, cfg.Protocol)
	if err != nil {
		log.Error("there are no traces, because there is nothing to send them with", "error", err)
		return nil
	}
	e := &exporter{to: to, log: log}
	e.over, e.breakOff = context.WithCancel(context.Background())
	t := &tracing{exporter: e, log: log}
	// Sampler and batches are read from their variables here.
	t.provider = trace.NewTracerProvider(trace.WithBatcher(e), trace.WithResource(describeProcess(ctx, node, log)))
	t.Tracer = t.provider.Tracer("github.com/dibs-calls/dibs")
	t.Propagator = autoprop.NewTextMapPropagator()
	return t
}

func newExporter(ctx context.Context, protocol string) (trace.SpanExporter, error) {
	if protocol == otlpGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx) // it knows JSON by the same variable
}

// describeProcess says whose the spans are. What the variables say counts more.
func describeProcess(ctx context.Context, node string, log *slog.Logger) *resource.Resource {
	own := []attribute.KeyValue{semconv.ServiceNameKey.String("dibs"), semconv.ServiceVersionKey.String(release())}
	if node != "" {
		own = append(own, semconv.ServiceInstanceIDKey.String(node))
	}
	r, err := resource.New(ctx, resource.WithHost(), resource.WithTelemetrySDK(), resource.WithAttributes(own...), resource.WithFromEnv())
	if err != nil {
		log.Warn("spans say less of this process than they should", "error", err)
	}
	return r
}

// stop sends what is left, at the latest until ctx ends. It can be repeated.
func (t *tracing) stop(ctx context.Context) {
	if t == nil {
		return
	}
	defer t.exporter.breakOff()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last spans could not be sent in time", "error", err)
	}
}

// transports is what the transports are given.
func (t *tracing) transports() *spans.Tracing {
	if t == nil {
		return nil
	}
	return &t.Tracing
}

// exporter sends spans until it is broken off, and logs what goes wrong.
type exporter struct {
	to       trace.SpanExporter
	log      *slog.Logger
	over     context.Context
	breakOff context.CancelFunc
}

// ExportSpans implements [trace.SpanExporter].
func (e *exporter) ExportSpans(ctx context.Context, batch []trace.ReadOnlySpan) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	defer context.AfterFunc(e.over, done)()
	if err := e.to.ExportSpans(ctx, batch); err != nil {
		e.log.Warn("spans could not be sent", "spans", len(batch), "error", err)
	}
	return nil
}

// Shutdown implements [trace.SpanExporter].
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }

const (
	tracingLogFirst = 5
	tracingLogEvery = time.Minute
)

// sparing logs a few lines, and then one a minute: a collector can be away for days.
func sparing(log *slog.Logger) *slog.Logger {
	return slog.New(sparingHandler{log.Handler(), &rate.Sometimes{First: tracingLogFirst, Interval: tracingLogEvery}})
}

type sparingHandler struct {
	slog.Handler
	some *rate.Sometimes // shared by all that are made of one
}

func (h sparingHandler) Handle(ctx context.Context, r slog.Record) (err error) {
	h.some.Do(func() { err = h.Handler.Handle(ctx, r) })
	return err
}

func (h sparingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sparingHandler{h.Handler.WithAttrs(attrs), h.some}
}

func (h sparingHandler) WithGroup(name string) slog.Handler {
	return sparingHandler{h.Handler.WithGroup(name), h.some}
}
