package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// logged is a log that a test reads while others write.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// hanging is a collector that takes requests and never answers.
func hanging(t *testing.T) (url string) {
	t.Helper()
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(over); server.Close() })
	return server.URL
}

// A collector that hangs costs spans and nothing else: neither who ends one waits,
// nor the end of the process beyond what it gives.
func TestHangingCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging(t))
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	var log logged
	tracing := newTracing(t.Context(), tracingConfig{On: true, Protocol: otlpHTTP}, "", log.logger())
	begin := time.Now()
	for range 20_000 { // the queue takes a tenth
		_, span := tracing.Tracer.Start(t.Context(), "span")
		span.End()
	}
	if took := time.Since(begin); took > 10*time.Second { // a second or less: a wait would be for ever
		t.Errorf("20,000 spans took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin = time.Now()
	tracing.stop(ctx)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
	has(t, log.String(), "the last spans could not be sent in time")
	tracing.stop(ctx)
}

// stuckExporter sends nothing until it is told to give up.
type stuckExporter struct{ tracetest.NoopExporter }

func (*stuckExporter) ExportSpans(ctx context.Context, _ []trace.ReadOnlySpan) error {
	<-ctx.Done()
	return ctx.Err()
}

// What is being sent when the time to stop is over is given up: nothing of it goes on.
func TestSendingIsBrokenOff(t *testing.T) {
	var log logged
	e := &exporter{to: &stuckExporter{}, log: log.logger()}
	e.over, e.breakOff = context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.ExportSpans(t.Context(), nil) }()
	e.breakOff()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it is still being sent")
	}
	if err := e.ExportSpans(t.Context(), nil); err != nil { // as are those that come later
		t.Error(err)
	}
}

// refusing sends nothing.
type refusing struct{ tracetest.NoopExporter }

func (*refusing) ExportSpans(context.Context, []trace.ReadOnlySpan) error {
	return errors.New("connection refused")
}

// A collector that is away for days does not fill the log.
func TestFailuresAreLoggedSparingly(t *testing.T) {
	var log logged
	e := &exporter{to: &refusing{}, log: sparing(log.logger()).With("a", 1)}
	e.over, e.breakOff = context.WithCancel(t.Context())
	for range 1000 {
		if err := e.ExportSpans(t.Context(), make([]trace.ReadOnlySpan, 7)); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "\n"); n < 1 || n > tracingLogFirst+1 {
		t.Errorf("%d lines", n)
	}
	has(t, log.String(), "level=WARN", "spans=7", "connection refused", "a=1")
}

// What the variables say of sampler, resource and propagators is what happens.
func TestTracingFollowsTheVariables(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging(t))
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	t.Setenv("OTEL_PROPAGATORS", "b3")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=sales,service.version=mine")
	log := slog.New(slog.DiscardHandler)
	tracing := newTracing(t.Context(), tracingConfig{On: true, Protocol: otlpHTTP}, "node-1", log)
	defer tracing.stop(t.Context())
	if _, span := tracing.Tracer.Start(t.Context(), "span"); span.IsRecording() {
		t.Error("the sampler is another one")
	}
	if fields := strings.Join(tracing.Propagator.Fields(), " "); !strings.Contains(fields, "b3") {
		t.Errorf("propagated are %s", fields)
	}
	about := attribute.NewSet(describeProcess(t.Context(), "node-1", log).Attributes()...)
	for name, want := range map[attribute.Key]string{"service.name": "dibs", "team": "sales", "service.version": "mine", "service.instance.id": "node-1"} {
		if v, _ := about.Value(name); v.AsString() != want {
			t.Errorf("%s is %q, want %q", name, v.AsString(), want)
		}
	}
	t.Setenv("OTEL_SERVICE_NAME", "dialer")
	about = attribute.NewSet(describeProcess(t.Context(), "", log).Attributes()...)
	if v, _ := about.Value("service.name"); v.AsString() != "dialer" || about.HasValue("service.instance.id") {
		t.Errorf("the process is %v", about.ToSlice())
	}
}

// What cannot be is said, and keeps nobody from starting.
func TestNoTracingIsNoFailure(t *testing.T) {
	var log logged
	if tracing := newTracing(t.Context(), tracingConfig{Unknown: []string{"OTEL_TRACES_EXPORTER=zipkin"}}, "", log.logger()); tracing != nil {
		t.Error("there is tracing")
	}
	has(t, log.String(), "OTEL_TRACES_EXPORTER=zipkin")
	var none *tracing
	none.stop(t.Context())
}

// grpcCollector counts spans.
type grpcCollector struct {
	collector.UnimplementedTraceServiceServer
	names chan string
}

func (c *grpcCollector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, of := range r.GetResourceSpans() {
		for _, in := range of.GetScopeSpans() {
			for _, span := range in.GetSpans() {
				c.names <- span.GetName()
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestSpansOverGRPC(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, c := grpc.NewServer(), &grpcCollector{names: make(chan string, 1)}
	collector.RegisterTraceServiceServer(server, c)
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	defer func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+ln.Addr().String())
	tracing := newTracing(t.Context(), tracingConfig{On: true, Protocol: otlpGRPC}, "", slog.New(slog.DiscardHandler))
	_, span := tracing.Tracer.Start(t.Context(), "over gRPC")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tracing.stop(ctx)
	select {
	case name := <-c.names:
		if name != "over gRPC" {
			t.Errorf("the span is %q", name)
		}
	default:
		t.Error("it was not sent")
	}
}
