package natsapi

import (
	"fmt"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// TestClientsKeepTheirOrder: the start of a call waits for the end of the one before
// of the same client, though that is another user's and takes its time.
func TestClientsKeepTheirOrder(t *testing.T) {
	const pairs = 20
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	f.away = true // until all are in the stream
	f.answer = func(r any) messages.Answer {
		if r, ok := r.(messages.ReportEnded); ok {
			<-time.After(20 * time.Millisecond)
			f.set(func() { f.reports = append(f.reports, r.Client) }) // it is over
		}
		return messages.Answer{Call: &messages.Call{}}
	}
	ingesting(t, bus, f)
	for n := range pairs {
		one, other := messages.UserID{UUID: natstest.ID(0x05, 2*n)}, messages.UserID{UUID: natstest.ID(0x05, 2*n+1)}
		client := messages.ClientID{UUID: natstest.ID(0xc1, n)}
		data := func(user messages.UserID) string {
			return fmt.Sprintf(`{"user_id":%q,"client_id":%q,"call_ref":"c-%s","occurred_at":"2026-03-04T05:07:07Z"}`, user, client, user)
		}
		publish(t, bus, IngestEnded, cloud("call.ended", "e-"+one.String(), data(one)))
		publish(t, bus, IngestStarted, cloud("call.started", "s-"+other.String(), data(other)))
	}
	f.set(func() { f.away = false })
	waitFor(t, soon, "all events are gone", func() bool { return left(t, bus) == 0 })
	over := map[messages.ClientID]bool{}
	for _, r := range f.seen() {
		switch r := r.(type) {
		case messages.ClientID:
			over[r] = true
		case messages.ReportStarted:
			if !over[r.Client] {
				t.Errorf("client %s: the next call started before the one before had ended", r.Client)
			}
		}
	}
	if len(over) != pairs {
		t.Errorf("%d of %d calls ended", len(over), pairs)
	}
}
