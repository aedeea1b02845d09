package main

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestBenchCommandLine runs what asks no server, or finds none. What a fleet does
// on a real one is tested with the binary, in integration.
func TestBenchCommandLine(t *testing.T) {
	nobody := "http://" + harness.FreeAddr(t)
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"bench --help", exitOK, ""},
		{"bench --agents 0", exitUsage, "at least one agent"},
		{"bench --zipf 0.5", exitUsage, "above 1"},
		{"bench --time 0s", exitUsage, "above zero"},
		{"bench --timeout 0s", exitUsage, "--timeout"},
		{"bench --double-starts 2", exitUsage, "from 0 to 1"},
		{"bench --flat-out --talk 5s", exitUsage, "leave out --talk"},
		{"bench --url localhost", exitUsage, "https://"},
		{"bench --api-key k", exitUsage, "--existing-people"},
		{"bench --existing-people", exitUsage, "DIBS_API_KEY"},
		{"bench --plot /nowhere/at/all.svg", exitFailed, "no such file"},
		{"bench --url " + nobody, exitUnavailable, "no dibs server at " + nobody},
	} {
		t.Run(tt.args, func(t *testing.T) {
			r := newShell(t).want(tt.code, strings.Fields(tt.args)...)
			has(t, r.stderr, tt.says)
		})
	}
}
