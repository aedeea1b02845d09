package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTracingByVariables(t *testing.T) {
	type vars = map[string]string
	on := tracingConfig{On: true, Protocol: otlpHTTP}
	for _, tt := range []struct {
		env  vars
		want tracingConfig
	}{
		{vars{}, tracingConfig{}},
		{vars{"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, tracingConfig{}},
		{vars{"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_EXPORTER": " "}, tracingConfig{}},
		{vars{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, on},
		{vars{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, on},
		{vars{"OTEL_TRACES_EXPORTER": "otlp"}, on},
		{vars{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "false"}, on},
		{vars{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, tracingConfig{}},
		{vars{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, tracingConfig{}},
		{vars{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, tracingConfig{Unknown: []string{"OTEL_TRACES_EXPORTER=zipkin"}}},
		{vars{"OTEL_TRACES_EXPORTER": "console, otlp"}, tracingConfig{On: true, Protocol: otlpHTTP, Unknown: []string{"OTEL_TRACES_EXPORTER=console"}}},
		{vars{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, tracingConfig{On: true, Protocol: otlpGRPC}},
		{
			vars{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
			tracingConfig{On: true, Protocol: otlpJSON},
		},
		{
			vars{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"},
			tracingConfig{On: true, Protocol: otlpHTTP, Unknown: []string{"OTEL_EXPORTER_OTLP_PROTOCOL=carrier-pigeon"}},
		},
	} {
		got := tracingOf(func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.env, diff)
		}
	}
}

// The server is told what the variables say.
func TestServeReadsTracing(t *testing.T) {
	sh, s := serveShell(t, newShell(t))
	sh.want(exitOK, "serve")
	if s.cfg.Tracing.On {
		t.Error("there is tracing by default")
	}
	sh.env["OTEL_TRACES_EXPORTER"] = "otlp"
	sh.want(exitOK, "serve")
	if !s.cfg.Tracing.On {
		t.Error("there is no tracing")
	}
	has(t, sh.want(exitOK, "help", "serve").stdout, "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER")
}
