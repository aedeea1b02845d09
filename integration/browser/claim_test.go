package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// TestClaimFirst follows one call from the click to its log: the page claims and
// only then shows a call, keeps the lease as long as it can, says so when it
// could not, and what was typed about calling back reaches the server.
func TestClaimFirst(t *testing.T) {
	takesLong(t)
	t.Parallel()
	const lease = 8 * time.Second // many times longer than a renewal takes, also while a disk stands still
	w := newWorld(t)
	x := w.clients[0]
	g := w.gate(map[string]string{"leaseSeconds": "8", "renewEvery": "600", "renewAgain": "200"})
	p := openChromium(t).signIn(ana, g.url)
	p.watch.expect(`net::ERR_`)
	p.watch.expect(refusals)
	p.watchFor("a call", "aside.call-panel, .own-call, tr.mine")

	held, release := g.hold(func(r *http.Request) bool { return r.Method == http.MethodPut })
	p.click(button("Call " + x.Name))
	within(t, patience, "the claim", func() bool { return len(held) > 0 })
	p.find(button("Claiming " + x.Name))
	p.mustBe("no call is shown while it is not claimed", `!seen.has("a call")`)
	if !*w.as(ben).Availability(t, x.ID).Available {
		t.Fatal("the claim that was held back has arrived: the test proves nothing")
	}
	release()
	p.untilPanel(x)
	g.pass()

	p.until("the lease to be renewed beyond its length, and again", fmt.Sprintf(`(({ call }) =>
		Date.parse(call.lease_expires_at) - Date.parse(call.started_at) > %d)(JSON.parse(localStorage['dibs.call']))`, 2*lease.Milliseconds()))
	p.mustBe("it is still the call", "!document.querySelector('aside.call-panel.over')")
	if r := w.as(ben).Availability(t, x.ID); *r.Available || r.Caller.Name != "Ana Alvarez" {
		t.Errorf("a call whose lease was renewed: %s", r.Raw)
	}

	// Cut off for longer than the lease, the page can't keep the call.
	g.close()
	within(t, patience, "the lease to run out", func() bool { return *w.as(ben).Availability(t, x.ID).Available })
	g.open()
	p.untilSaid(".call-over", "This call")
	callbackReaches(t, w, p, x)
}

// callbackReaches fills in the log with when to call back, and looks at what the
// server has of it. The browser is in UTC.
func callbackReaches(t *testing.T, w *world, p *page, x messages.Client) {
	t.Helper()
	p.click(radio("Missed"))
	p.click(element{"checkbox", "Callback requested"})
	p.until("the field for the time", "(document.querySelector('input[type=datetime-local]')?.focus(), document.activeElement.type === 'datetime-local')")
	p.keys("12312026" + kb.Tab + "0930PM")
	p.until("the time to be read", `document.querySelector('input[type=datetime-local]').value === '2026-12-31T21:30'`)
	p.click(button("Save log"))
	p.untilNoPanel()
	r := harness.Must(t, http.StatusOK)(w.as(ana).Do(t.Context(), http.MethodGet, "/api/call-logs?clientId="+x.ID.String(), nil))
	var got struct {
		CallLogs []struct {
			CallStatus        string     `json:"call_status"`
			CallbackRequested bool       `json:"callback_requested"`
			CallbackTime      *time.Time `json:"callback_time"`
		} `json:"callLogs"`
	}
	if err := json.Unmarshal(r.Raw, &got); err != nil || len(got.CallLogs) != 1 {
		t.Fatalf("logs: %v, %s", err, r.Raw)
	}
	want := time.Date(2026, 12, 31, 21, 30, 0, 0, time.UTC)
	if l := got.CallLogs[0]; l.CallStatus != "missed" || !l.CallbackRequested || l.CallbackTime == nil || !l.CallbackTime.Equal(want) {
		t.Errorf("the log has %s, want missed, to be called back at %v", r.Raw, want)
	}
	p.follow("#/clients/" + x.ID.String())
	p.untilSaid("table.logs .callback", "Call back Dec 31, 2026, 9:30")
}

// TestNotesOutliveTheNextCall: what was typed about a call that somebody else
// ended stays beside the next call, over a reload, until it is saved or thrown
// away; with the same client it goes on in the next call's form.
func TestNotesOutliveTheNextCall(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x, y := w.clients[0], w.clients[1]
	p := w.browserOf(ana)
	p.click(button("Call " + x.Name))
	p.untilPanel(x)
	p.fill(textbox("Notes"), "Wants the annual plan.")
	w.release(ana)
	p.untilSaid(".call-over", "An administrator ended this call.")

	// The same client again: the same notes.
	p.click(button("Call " + x.Name))
	p.untilPanel(x)
	p.until("the notes to be there", `document.querySelectorAll('aside.call-panel').length === 1 &&
		document.querySelector('aside.call-panel:not(.over) textarea')?.value === 'Wants the annual plan.'`)
	w.release(ana)
	p.untilSaid(".call-over", "An administrator ended this call.")

	// Another client: they wait beside the call.
	p.click(button("Call " + y.Name))
	p.untilPanel(y)
	p.until("a form for the next call", `document.querySelector('aside.call-panel:not(.over) textarea')?.value === ''`)
	p.reload()
	p.untilPanel(y)
	p.until("the notes of the call before", `document.querySelector('aside.call-panel.over textarea')?.value === 'Wants the annual plan.'`)
	p.fill(textbox("Notes"), "Rang for long.") // the first on the page: that of the call
	p.click(radio("No answer"))
	p.click(button("Save log and end call"))
	p.until("the call's panel to go", "!document.querySelector('aside.call-panel:not(.over)')")
	p.until("the notes of the call before", `document.querySelector('aside.call-panel.over textarea')?.value === 'Wants the annual plan.'`)
	p.click(radio("Completed"))
	p.click(button("Save log"))
	p.untilNoPanel()
	for client, notes := range map[messages.ClientID]string{x.ID: "Wants the annual plan.", y.ID: "Rang for long."} {
		r := harness.Must(t, http.StatusOK)(w.as(ana).Do(t.Context(), http.MethodGet, "/api/call-logs?clientId="+client.String(), nil))
		var got struct{ CallLogs []messages.CallLog }
		if err := json.Unmarshal(r.Raw, &got); err != nil || len(got.CallLogs) != 1 || got.CallLogs[0].Notes != notes {
			t.Errorf("logs: %v, %s; want %q", err, r.Raw, notes)
		}
	}
}

// release has the administrator end somebody's call.
func (w *world) release(who string) {
	w.t.Helper()
	path := "/api/user-status/" + w.personID(who).String() + "/call"
	harness.Must(w.t, http.StatusOK)(w.as(admin).Do(w.t.Context(), http.MethodDelete, path, map[string]string{"reason": "a test"}))
}
