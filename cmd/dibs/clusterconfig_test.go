package main

import (
	"testing"

	"github.com/dibs-calls/dibs/transport/natsapi"
)

// The NATS server inside the only node has no others to wait for.
func TestOnlyNodeHasNATSToItself(t *testing.T) {
	for what, c := range map[string]struct {
		peers  []string
		listen string
	}{
		"no peers":    {nil, ""},
		"only itself": {[]string{"127.0.0.1:6221"}, ""},
		"two":         {[]string{"127.0.0.1:6221", "127.0.0.1:6222"}, "127.0.0.1:6221"},
	} {
		t.Run(what, func(t *testing.T) {
			cfg := clusterConfig{On: true, Name: "a", Listen: "127.0.0.1:6221", Peers: c.peers}
			var bus natsapi.Config
			cfg.apply(&bus)
			if got := bus.Embedded.Routes.Listen; got != c.listen {
				t.Errorf("its server listens for others at %q, want %q", got, c.listen)
			}
		})
	}
}
