package main

import (
	"testing"

	"github.com/dibs-calls/dibs/placement"
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

// A node whose NATS server knows of no others is not ready beside others: it would miss
// their events, and they its.
func TestOnlyNodeIsNotReadyBesideOthers(t *testing.T) {
	two := []placement.Member{{Name: "a"}, {Name: "b"}}
	peers := []string{"127.0.0.1:6221", "127.0.0.1:6222"}
	for what, c := range map[string]struct {
		cfg     clusterConfig
		members []placement.Member
		refused bool
	}{
		"alone":             {clusterConfig{On: true, Listen: peers[0]}, two[:1], false},
		"not alone":         {clusterConfig{On: true, Listen: peers[0], Peers: peers[:1]}, two, true},
		"with peers":        {clusterConfig{On: true, Listen: peers[0], Peers: peers}, two, false},
		"a NATS of its own": {clusterConfig{On: true}, two, false},
	} {
		t.Run(what, func(t *testing.T) {
			if err := c.cfg.checkMembers(c.members); (err != nil) != c.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}
