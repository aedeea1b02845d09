package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dibs-calls/dibs/integration/harness"
)

const refusals = `network: Failed to load resource: the server responded with a status of 409`

// TestSavedLogFreesTheClient: saving the log ends the call, for everybody.
func TestSavedLogFreesTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.clients[0]
	b := openChromium(t)
	left, right := b.signIn(ana, w.server.URL), b.signInApart(ben, w.server.URL)
	left.click(button("Call " + x.Name))
	left.untilPanel(x)
	right.untilRow(x, "taken")

	left.click(radio("No answer"))
	const notes = "<b>Try</b> after lunch <script>document.title='oops'</script>"
	left.fill(textbox("Notes"), notes)
	left.click(button("Save log and end call"))

	left.untilNoPanel()
	left.untilRow(x, "free")
	right.untilRow(x, "free")
	right.follow("#/clients/" + x.ID.String())
	right.find(heading(x.Name))
	left.follow("#/clients/" + x.ID.String())
	left.untilText("table.logs .notes", notes) // markup is shown as what it is
	left.untilText("table.logs .outcome", "No answer")

	// The client is free for the other one, in earnest.
	right.click(button("Call " + x.Name))
	right.untilPanel(x)
}

// TestRefusalsAreSaid: a click that comes too late is answered with the
// specification's sentence. Ben's page cannot have live events here, and what it
// asks for is held back, so that it does not know yet.
func TestRefusalsAreSaid(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x, y := w.clients[1], w.clients[2]
	g := w.gate(map[string]string{"pollEvery": "1_000", "requestTimeout": "60_000"}) // some are held back
	g.answer(withoutEvents)
	p := openChromium(t).open(ben, g.url, "")
	p.watch.expect(refusals)
	p.watch.expect(`status of 502 .*/api/events`)
	p.enter(ben)
	p.untilConnection("polling")
	p.untilSaid("[data-testid=connection]", "looked up every 30 seconds")
	p.untilRow(x, "free")

	held, release := g.hold(isPoll, withoutEvents)
	within(t, patience, "the page to ask again", func() bool { return len(held) > 0 })
	w.start(ana, x)
	p.click(button("Call " + x.Name))
	p.untilSaid("[role=alert]", "This client is already being called by Ana Alvarez. Please try again later.")
	p.untilRow(x, "taken")
	p.untilNoPanel()

	// His own call, begun elsewhere.
	w.start(ben, y)
	p.click(button("Call " + w.clients[3].Name))
	p.untilSaid("[role=alert]", "You are already on a call. Please end your current call first.")
	p.untilPanel(y)

	// What nobody told the page it finds out by asking.
	w.end(ana)
	w.end(ben)
	release()
	p.untilRow(x, "free")
	p.untilSaid(".call-over", "This call was ended elsewhere")
	p.click(button("Close without log"))
	p.untilNoPanel()
	callFromTheList(t, w, g, p)
}

// callFromTheList: a call that was begun elsewhere is known here from the list of
// everybody alone, which has no tokens. Ending it does not end the next one, which
// the page has not heard of.
func callFromTheList(t *testing.T, w *world, g *gate, p *page) {
	t.Helper()
	x, y := w.clients[4], w.clients[5]
	w.start(ben, x)
	p.untilPanel(x)
	held, release := g.hold(isPoll, withoutEvents)
	within(t, patience, "the page to ask again", func() bool { return len(held) > 0 })
	w.end(ben)
	w.start(ben, y)
	p.click(button("End call"))
	p.untilNoPanel()
	release()
	p.untilPanel(y)
	if r := w.as(ana).Availability(t, y.ID); *r.Available {
		t.Error("ending a call that was over has ended the next one")
	}
	p.click(button("End call"))
	p.untilNoPanel()
	if r := w.as(ana).Availability(t, y.ID); !*r.Available {
		t.Error("a call that is known from the list alone cannot be ended")
	}
}

// TestTwoTabsAgree: whatever one tab does, the other shows.
func TestTwoTabsAgree(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x, y := w.clients[0], w.clients[1]
	g := w.gate(map[string]string{"hiddenKeeps": "100", "requestTimeout": "60_000"})
	b := openChromium(t)
	first := b.signIn(ana, g.url)
	second := b.open("ana's second tab", g.url, "#/clients")
	second.untilConnection("live")
	for _, tab := range []*page{first, second} {
		// One signs out while the other asks for events anew.
		tab.watch.expect(`status of 401 .*/api/events`)
	}

	first.click(button("Call " + x.Name))
	first.untilPanel(x)
	second.untilPanel(x)
	second.untilRow(x, "mine")

	endsInTheOtherTab(w, first, second)

	second.click(button("Call " + y.Name))
	first.untilPanel(y)
	first.click(radio("Completed"))
	first.click(button("Save log and end call"))
	first.untilNoPanel()
	second.untilNoPanel()

	hiddenTab(w, g, first, second)
	notesAgree(w, first, second)
	notesOutliveTheOtherTab(w, first, second)
	signOutAsksFirst(first, second)
}

// endsInTheOtherTab: a tab that hears of the end before the one that asked for it
// has its answer does not take it for somebody else's doing.
func endsInTheOtherTab(w *world, first, second *page) {
	first.t.Helper()
	x := w.clients[0] // which is on a call
	first.watchFor("over", ".call-over")
	eval[chromedp.Void](second, `void (() => {
		const fetched = window.fetch;
		window.answered = false;
		window.fetch = async (...how) => {
			const answer = await fetched(...how);
			if (how[1]?.body?.includes?.('"end_call"')) {
				await new Promise((release) => { window.letGo = release; answered = true; });
				window.fetch = fetched;
			}
			return answer;
		};
	})()`)
	second.click(button("End call"))
	second.until("the answer to be on its way", "answered")
	first.untilRow(x, "free")
	first.mustBe("it does not say that somebody else ended the call", `!seen.has("over")`)
	eval[chromedp.Void](second, "letGo()")
	second.untilNoPanel()
	first.untilNoPanel()
	first.mustBe("nor later", `!seen.has("over")`)
}

// TestAdminReleases: an administrator frees a client from the Team page, for a
// reason; whoever was calling is told so, and can still save the log.
func TestAdminReleases(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x := w.clients[0]
	b := openChromium(t)
	caller, boss := b.signIn(ana, w.server.URL), b.signInApart(admin, w.server.URL)
	caller.click(button("Call " + x.Name))
	caller.untilPanel(x)

	boss.click(link("Team"))
	boss.find(heading("Team"))
	anasID := w.personID(ana)
	boss.untilPerson(anasID, "on-call")
	boss.untilPerson(w.personID(ben), "free")
	boss.untilSaid("[data-testid=person-"+anasID.String()+"]", x.Name)
	boss.mustPulse("[data-testid=person-" + anasID.String() + "] .dot.taken")
	boss.click(button("Release the call of Ana Alvarez"))
	boss.fill(textbox("Reason (kept on the audit trail)"), "Left for the day")
	boss.click(button("Release call"))

	boss.untilPerson(anasID, "free")
	caller.untilSaid(".call-over", "An administrator ended this call.")
	caller.untilRow(x, "free")
	if r := w.as(ben).Availability(t, x.ID); !*r.Available {
		t.Error("the client is not free")
	}
	caller.click(radio("Completed"))
	caller.click(button("Save log"))
	caller.untilNoPanel()
	logs := harness.Must(t, http.StatusOK)(w.as(ana).Do(t.Context(), http.MethodGet, "/api/call-logs?clientId="+x.ID.String(), nil))
	if logs.TotalCount != 1 || !strings.Contains(string(logs.Raw), "completed") {
		t.Errorf("the log of the released call: %s", logs.Raw)
	}

	boss.click(button("Clean up stale calls"))
	boss.click(button("End stale calls"))
	boss.untilSaid("[role=status]", "No call is older than two hours.")
}

// TestEndedElsewhere: a call that a telephone system, or the person's other device,
// ends while the log is being typed leaves what was typed, and it can be saved.
func TestEndedElsewhere(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x := w.clients[0]
	p := w.browserOf(ana)
	p.click(button("Call " + x.Name))
	p.untilPanel(x)
	p.fill(textbox("Notes"), "Wants the annual plan.")
	harness.Must(t, http.StatusOK)(w.as(ana).Put(t.Context(), harness.Change{Action: "end_call"}))

	p.untilSaid(".call-over", "This call was ended by the telephone system, another device or another program.")
	p.until("the notes to be there", `document.querySelector("textarea").value === "Wants the annual plan."`)
	p.click(radio("Completed"))
	p.click(button("Save log"))
	p.untilNoPanel()
	logs := harness.Must(t, http.StatusOK)(w.as(ana).Do(t.Context(), http.MethodGet, "/api/call-logs?clientId="+x.ID.String(), nil))
	if logs.TotalCount != 1 || !strings.Contains(string(logs.Raw), "annual plan") {
		t.Errorf("the log of the call that was ended elsewhere: %s", logs.Raw)
	}
}
