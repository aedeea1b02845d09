package natsapi

import (
	"context"
	"testing"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// A publisher that was never started stops, however late it is told to.
func TestStopWithoutAStart(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	p, err := bus.NewPublisher(&natstest.Outbox{})
	if err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // of two that are ready select takes either
		if err := p.Stop(late); err != nil {
			t.Fatal(err)
		}
	}
}
