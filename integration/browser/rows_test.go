package browser

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestListChangesUnderHand: what happens to the list and to calls while somebody
// points at something or types leaves no tooltip behind, takes no focus, and loses
// nobody's change.
func TestListChangesUnderHand(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x, y, z := w.clients[0], w.clients[1], w.clients[2]
	g := w.gate(map[string]string{
		"pollEvery": "500", "reconnectMost": "300", "failuresBeforePolling": "2", "requestTimeout": "60_000",
	})
	p := openChromium(t).signIn(ben, g.url)
	p.watch.expect(`net::ERR_`)
	p.watch.expect(`status of 502 .*/api/events`)

	// The row goes, and the pointer rests where it was.
	w.start(ana, x)
	p.untilRow(x, "taken")
	p.hover(button("Call " + x.Name))
	p.untilSaid("[role=tooltip]:popover-open", "Being called by Ana Alvarez")
	p.follow("#/clients?search=nobody-of-that-name")
	p.untilSaid(".empty", "No client matches")
	p.until("the tooltip to close", "!document.querySelector('[role=tooltip]:popover-open')")

	// Back from beyond the end.
	p.follow("#/clients?page=9")
	p.untilSaid(".empty", "The list has fewer pages.")
	p.click(link("Go to the last page"))
	p.untilText(".pager span", "Page 4 of 4")
	p.follow("#/clients")

	// A call that was begun elsewhere is known from the list of everybody, and its
	// token, without which it is not renewed, when the stream is back.
	g.answer(withoutEvents)
	p.dropStream()
	p.untilConnection("polling")
	w.start(ben, y)
	p.untilPanel(y)
	p.fill(textbox("Notes"), "Half a sen")
	g.pass()
	p.untilConnection("live")
	p.until("the call's token", "JSON.parse(localStorage['dibs.call']).call.token > 0")
	p.settle()
	p.mustBe("the focus is still in the notes", "document.activeElement.matches('aside textarea')")
	w.end(ben)
	p.untilSaid(".call-over", "This call")
	p.fill(element{"searchbox", "Search clients"}, "a")
	p.until("the search", "location.hash.includes('search=a')")
	w.start(ben, z)
	p.untilPanel(z)
	p.settle()
	p.mustBe("the focus is still in the search", "document.activeElement.matches('#search')")
	w.end(ben)
	w.end(ana)
	editsWhatChanged(t, w, p)
	p.follow("#/clients")
	asksNoMoreThanNeeded(w, g, p)
}

// editsWhatChanged: two people change different things of one client.
func editsWhatChanged(t *testing.T, w *world, p *page) {
	t.Helper()
	c := w.clients[5]
	p.follow("#/clients/" + c.ID.String())
	p.find(heading(c.Name))
	p.click(button("Edit"))
	p.find(element{"dialog", "Edit " + c.Name})
	path := "/api/clients/" + c.ID.String()
	harness.Must(t, http.StatusOK)(w.as(ana).Do(t.Context(), http.MethodPut, path, map[string]string{"phone": "+12025550142"}))
	eval[chromedp.Void](p, "void document.querySelector('dialog input[name=name]').select()")
	p.keys("Nadia Newname")
	p.click(button("Save"))
	p.find(heading("Nadia Newname"))
	p.untilSaid(".details", "+12025550142")

	p.click(button("Edit"))
	p.click(button("Save")) // nothing was changed
	p.until("the dialog to close", "!document.querySelector('dialog')")
	p.find(heading("Nadia Newname"))
}
