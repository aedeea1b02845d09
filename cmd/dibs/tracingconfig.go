package main

import (
	"slices"
	"strings"
)

// tracingConfig says whether spans are made, and how they leave. Everything else
// about them (where they go, how many, in which batches, with which attributes) the
// OpenTelemetry SDK reads from its variables itself.
type tracingConfig struct {
	On       bool
	Protocol string
	Unknown  []string // settings that dibs does not know, as name=value
}

const (
	otlpGRPC  = "grpc"
	otlpHTTP  = "http/protobuf"
	otlpJSON  = "http/json"
	otlpNames = "otlp"
)

// tracingOf reads the variables by which OpenTelemetry's specification has a
// program choose an exporter. Tracing is on when one of them asks for it: unlike
// other programs, dibs does not look for a collector on its own machine unless told.
// As that specification has it, an empty variable counts as none, and what is not
// known is warned of and passed over: a variable that is set for all programs of a
// site must not keep one of them from starting.
func tracingOf(env func(string) (string, bool)) (c tracingConfig) {
	get := func(name string) string {
		value, _ := env(name)
		return strings.TrimSpace(value)
	}
	if strings.EqualFold(get("OTEL_SDK_DISABLED"), "true") {
		return c
	}
	exporters := get("OTEL_TRACES_EXPORTER")
	if exporters == "" {
		c.On = get("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	}
	for name := range strings.SplitSeq(exporters, ",") {
		switch strings.TrimSpace(name) {
		case "":
		case otlpNames:
			c.On = true
		case "none":
			return tracingConfig{}
		default:
			c.Unknown = append(c.Unknown, "OTEL_TRACES_EXPORTER="+strings.TrimSpace(name))
		}
	}
	if c.On {
		c.Protocol = otlpHTTP
		for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
			protocol := get(name)
			if slices.Contains([]string{otlpGRPC, otlpHTTP, otlpJSON}, protocol) {
				c.Protocol = protocol
				break
			}
			if protocol != "" {
				c.Unknown = append(c.Unknown, name+"="+protocol)
			}
		}
	}
	return c
}
