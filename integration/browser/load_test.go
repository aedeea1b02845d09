package browser

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// load is one person who calls one client after the other, at two nodes in
// turn.
type load struct {
	t     *testing.T
	begun time.Time
	stop  chan struct{}
	calls chan int // how many it was, at the end
}

// startLoad lets Cleo call, until the end with the third client, whom she still
// calls when the load is over.
func startLoad(t *testing.T, nodes ...*world) *load {
	t.Helper()
	l := &load{t: t, begun: time.Now(), stop: make(chan struct{}), calls: make(chan int, 1)}
	clients := nodes[0].clients[2:6]
	var callers []*harness.Client
	for _, w := range nodes {
		callers = append(callers, w.as(cleo))
	}
	go func() {
		n := 0
		defer func() { l.calls <- n }()
		tick := time.NewTicker(25 * time.Millisecond)
		defer tick.Stop()
		for ; ; n++ {
			client := clients[n%len(clients)]
			stopped := false
			select {
			case <-l.stop:
				client, stopped = clients[0], true
			case <-tick.C:
			}
			if !l.call(callers[n%len(callers)], client, !stopped) || stopped {
				return
			}
		}
	}()
	return l
}

// call starts a call, and ends it if it is to be ended.
func (l *load) call(caller *harness.Client, client messages.Client, end bool) bool {
	changes := []harness.Change{{Action: "start_call", ClientID: client.ID.String()}, {Action: "end_call"}}
	if !end {
		changes = changes[:1]
	}
	for _, change := range changes {
		r, err := caller.Put(context.Background(), change)
		if err != nil || r.Status != http.StatusOK {
			l.t.Errorf("%s without NATS: status %d, %s, %v", change.Action, r.Status, r.Error, err)
			return false
		}
	}
	return true
}

// finish ends the load when it has lasted as long as it should, which is the
// outage that the test is about, and returns how many calls it was.
func (l *load) finish(lasts time.Duration) int {
	l.t.Helper()
	select {
	case <-time.After(lasts - time.Since(l.begun)):
		close(l.stop)
		return <-l.calls
	case n := <-l.calls: // it failed, and said so
		return n
	}
}
