package browser

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestClientsPage: finding clients, leafing, adding, changing, deleting, and who
// may do that.
func TestClientsPage(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	b := openChromium(t)
	p := b.signIn(ben, w.server.URL)
	p.watch.expect(refusals)

	// Searching is by name, number and address, and stands in the address of the page.
	p.fill(element{"searchbox", "Search clients"}, w.clients[7].Phone)
	p.untilText(".total", "1 client")
	p.untilRow(w.clients[7], "free")
	p.mustBe("the others are gone", "!document.querySelector('"+row(w.clients[8])+"')")
	p.mustBe("it can be bookmarked", "location.hash.includes('search=')")
	p.follow("#/clients?search=nobody-of-that-name")
	p.untilText(".empty", "No client matches “nobody-of-that-name”.")
	p.untilText(".total", "0 clients")

	// 200 clients are four pages, or one.
	p.follow("#/clients")
	p.untilRow(w.clients[49], "free")
	p.mustBe("a page ends", rows+" === 50")
	p.click(link("Next"))
	p.untilRow(w.clients[50], "free")
	p.untilText(".pager span", "Page 2 of 4")
	p.click(link("Previous"))
	p.untilRow(w.clients[0], "free")
	p.choose(".page-size select", "200")
	p.until("all of them", rows+" === 200")

	addAndEdit(p)
	boss := b.signInApart(admin, w.server.URL)
	boss.watch.expect(refusals)
	deleting(t, w, p, boss)
}

const rows = "document.querySelectorAll('table.clients tbody tr').length"

// addAndEdit adds a client and changes it.
func addAndEdit(p *page) {
	p.t.Helper()
	p.follow("#/clients")
	p.click(button("Add client"))
	p.find(element{"dialog", "Add a client"})
	p.fill(textbox("Name"), "Zelda Zimmer")
	p.fill(textbox("Phone"), "+1 202 555 0199")
	p.fill(textbox("E-mail"), "zelda@example.org")
	p.fill(textbox("Notes"), "Met at the fair.")
	p.keys("\r") // a line of the notes, and not the end of the form
	p.click(element{"button", "Add client"})
	p.untilSaid("[role=status]", "Zelda Zimmer is added.")
	p.follow("#/clients?search=zelda")
	p.untilText(".total", "1 client")
	p.untilText("table.clients .phone", "+12025550199")

	p.click(button("Edit Zelda Zimmer"))
	p.find(element{"dialog", "Edit Zelda Zimmer"})
	p.until("what is known to be there", "document.querySelector('dialog input[name=email]').value === 'zelda@example.org' && "+
		"document.querySelector('dialog textarea').value.startsWith('Met at the fair.')")
	p.fill(textbox("Name"), "-Brandt")
	p.click(button("Save"))
	p.untilText("table.clients .name", "Zelda Zimmer-Brandt")
	p.mustBe("the rest stays", "document.querySelector('table.clients .email').textContent === 'zelda@example.org'")
}

// deleting is for administrators, and not while the client is being called.
func deleting(t *testing.T, w *world, p, boss *page) {
	t.Helper()
	zelda := harness.Must(t, http.StatusOK)(w.as(ben).Do(t.Context(), http.MethodGet, "/api/clients?search=zelda", nil)).Clients[0]
	p.mustBe("who may not delete sees no button for it", "![...document.querySelectorAll('button')].some(b => b.textContent === 'Delete')")
	harness.Must(t, http.StatusForbidden)(w.as(ben).Do(t.Context(), http.MethodDelete, "/api/clients/"+zelda.ID.String(), nil))
	p.follow("#/clients/" + zelda.ID.String())
	p.find(heading(zelda.Name))
	p.mustBe("nor on the client's page", "![...document.querySelectorAll('button')].some(b => b.textContent === 'Delete')")

	boss.follow("#/clients?search=zelda")
	p.click(button("Call " + zelda.Name))
	p.untilPanel(zelda)
	boss.untilRow(zelda, "taken")
	boss.click(button("Delete " + zelda.Name))
	boss.click(button("Delete client"))
	boss.untilSaid("dialog [role=alert]", "being called")
	p.click(button("End call"))
	p.untilNoPanel()
	boss.click(button("Delete client"))
	boss.untilSaid("[role=status]", zelda.Name+" is deleted.")
	boss.untilSaid(".empty", "No client matches")
	harness.Must(t, http.StatusNotFound)(w.as(ben).Do(t.Context(), http.MethodGet, "/api/clients/"+zelda.ID.String(), nil))
}

// choose takes an option of a list, as a hand does.
func (p *page) choose(selector, value string) {
	p.t.Helper()
	eval[chromedp.Void](p, fmt.Sprintf(`void (() => {
		const select = document.querySelector(%q);
		select.value = %q;
		select.dispatchEvent(new Event('change', { bubbles: true }));
	})()`, selector, value))
}
