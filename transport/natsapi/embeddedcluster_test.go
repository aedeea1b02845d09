package natsapi

import (
	"os"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// oneOfSeveral is the configuration of a server whose cluster's others never come.
func oneOfSeveral(t *testing.T, dir string) Config {
	cfg := inProcess(t, dir)
	cfg.Embedded.Routes = RoutesConfig{Name: "a", Listen: "127.0.0.1:0", Peers: []string{"127.0.0.1:1"}}
	return cfg
}

func mustRefuse(t *testing.T, cfg Config, because string) {
	t.Helper()
	bus, err := Open(t.Context(), cfg)
	if err == nil {
		closeBus(t, bus)
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), because) || !strings.Contains(err.Error(), "move that folder away") {
		t.Errorf("got %v", err)
	}
}

// A cluster would remove streams that only one server has, or mix them with others'.
func TestStreamsOfALoneServerAreNotTakenIntoACluster(t *testing.T) {
	dir := t.TempDir()
	outbox := &natstest.Outbox{}
	bus := open(t, inProcess(t, dir))
	p := publishing(t, bus, outbox)
	events := calls(outbox, 3, 1)
	empty(t, outbox)
	halt(t, p)
	closeBus(t, bus)

	mustRefuse(t, oneOfSeveral(t, dir), "was alone")
	bus = open(t, inProcess(t, dir)) // nothing was touched
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events, want %d", n, events)
	}
	closeBus(t, bus)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	closeBus(t, open(t, oneOfSeveral(t, dir)))
}

// What a server adds alone its cluster knows nothing of.
func TestServerOfAClusterDoesNotGoOnAlone(t *testing.T) {
	dir := t.TempDir()
	closeBus(t, open(t, oneOfSeveral(t, dir)))
	mustRefuse(t, inProcess(t, dir), "one of a cluster")
	closeBus(t, open(t, oneOfSeveral(t, dir)))
}
