package browser

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// What somebody may have typed, or another program imported. Each would run a
// script if it were taken for what it looks like.
const (
	evilPerson = `<img src=x onerror="window.struck=1">`
	evilClient = `"><svg onload="window.struck=1"></svg>`
	evilNotes  = `<script>window.struck=1</script> & <b>bold</b>`
	evilValue  = `<a href="javascript:window.struck=1">here</a>`
	evilEmail  = "mallory@example.com"
)

// TestMarkupIsText: markup in names, notes and attributes is shown as text on
// every page, and nothing of it runs. And who is renamed during a call is called
// by the new name at once.
func TestMarkupIsText(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	w.restart(func() {
		people := filepath.Join(t.TempDir(), "people.csv")
		line := fmt.Sprintf("email,first_name,last_name,role,password\n%s,\"%s\",\"</b>\",user,%s\n",
			evilEmail, `<img src=x onerror=""window.struck=1"">`, demoPassword)
		if err := os.WriteFile(people, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		w.dibs.MustRun(t, "users", "import", people)
	})
	x := w.clients[0]
	const caller = evilPerson + " </b>"
	mallory := harness.NewClient(t, w.server.URL, "").Login(t, evilEmail, demoPassword)
	harness.Must(t, http.StatusOK)(mallory.Put(t.Context(), harness.Change{Action: "start_call", ClientID: x.ID.String()}))

	b := openChromium(t)
	ben, boss := b.signIn(ben, w.server.URL), b.signInApart(admin, w.server.URL)
	boss.click(link("Team"))
	boss.untilSaid("tr[data-state=on-call] .client-name", x.Name)
	rename(w, x, map[string]any{"name": evilClient, "notes": evilNotes, "attributes": map[string]any{evilClient: evilValue}})

	boss.untilText("tr[data-state=on-call] .client-name", evilClient)
	boss.untilSaid("tr[data-state=on-call] .name", caller)
	boss.click(button("Release the call of " + caller))
	boss.untilSaid("dialog", caller+" has been on a call with "+evilClient)
	boss.mustNotBeStruck()

	ben.reload()
	ben.untilRow(x, "taken")
	ben.untilText(row(x)+" .name", evilClient)
	ben.hover(button("Call " + evilClient))
	ben.untilSaid("[role=tooltip]:popover-open", "Being called by "+caller)
	ben.follow("#/clients/" + x.ID.String())
	ben.find(heading(evilClient))
	ben.untilText(".details .notes", evilNotes)
	ben.untilText(".details dd", evilValue)
	ben.untilSaid(".details .state", "by "+caller)

	// On one's own call, and in the history after it.
	harness.Must(t, http.StatusOK)(mallory.Put(t.Context(), harness.Change{Action: "end_call"}))
	ben.click(button("Call " + evilClient))
	ben.untilText("#call-panel-title a", evilClient)
	ben.click(radio("Completed"))
	ben.fill(textbox("Notes"), evilNotes)
	ben.click(button("Save log and end call"))
	ben.untilNoPanel()
	ben.untilText("table.logs .notes", evilNotes)
	ben.mustNotBeStruck()
}

// rename changes a client, as an administrator does elsewhere.
func rename(w *world, c messages.Client, change map[string]any) {
	w.t.Helper()
	harness.Must(w.t, http.StatusOK)(w.as(admin).Do(w.t.Context(), http.MethodPut, "/api/clients/"+c.ID.String(), change))
}

// mustNotBeStruck checks that no text has become a part of the page. A script
// that was kept from running by the page's policy stands in the console, and the
// test fails for that.
func (p *page) mustNotBeStruck() {
	p.t.Helper()
	if eval[bool](p, "'struck' in window") {
		p.t.Errorf("%s: a text was run as a script", p.who)
	}
	const strange = "img, [onload], [onerror], body script, b, a[href^='javascript:']"
	if found := eval[string](p, fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.outerHTML).join(' ')", strange)); found != "" {
		p.t.Errorf("%s: a text has become %s", p.who, found)
	}
}
