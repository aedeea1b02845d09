package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestRenamedDuringACall: whoever renames a client who is being called finds the
// new name at once, in the list of users and in live events.
func TestRenamedDuringACall(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		connect := newDialer(t, d, 1, 1)
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		team, key := connect(s), serviceKey(t, d)
		harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
		waitFor(t, readyLimit, "the server to hear of events", func() bool { return metric(t, s, "dibs_live_stale") == 0 })
		early := openStream(t, s.Addr, key, "")
		early.until("snapshot")

		harness.Must(t, http.StatusOK)(team.Do(t.Context(), http.MethodPut, "/api/clients/"+team.clients[0].String(), map[string]string{"name": "Renamed"}))
		if onCall := team.Statuses(t, true); len(onCall) != 1 || onCall[0].Client.Name != "Renamed" {
			t.Errorf("the list of users says %+v", onCall)
		}
		if f := early.until("call.changed"); !strings.Contains(f.data, `"Renamed"`) {
			t.Errorf("readers are sent %s", f.data)
		}
		// Who comes now may be sent a snapshot of a moment ago, and what followed it.
		late := openStream(t, s.Addr, key, "")
		if f := late.until("snapshot"); !strings.Contains(f.data, `"Renamed"`) {
			late.until("call.changed")
		}
	})
}
