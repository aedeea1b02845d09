package browser

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestTeam: who is on a call, filtered, counted and found; from one hour on a
// call is warned of; and what is stale is ended in earnest, and nothing else.
func TestTeam(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x, y := w.clients[0], w.clients[1]
	w.start(dan, x)
	w.restart(func() { backdate(w, 3*time.Hour) })
	w.start(cleo, y)
	g := w.gate(map[string]string{"silence": "36_000_000"}) // the page's clock will jump
	held, release := g.hold(func(r *http.Request) bool { return r.URL.Path == "/api/user-status" })
	p := openChromium(t).signIn(admin, g.url)

	p.click(link("Team"))
	within(t, patience, "the page to ask who is there", func() bool { return len(held) > 0 })
	p.untilText(".loading", "Loading…")
	p.mustBe("nobody is missing while nobody is known", "!document.body.innerText.includes('Nobody to show')")
	release()
	p.untilCounts(5, 2, 3, 1)
	p.untilPerson(w.personID(dan), "on-call")
	p.untilWarned(who(w, dan))
	p.mustBe("a young call is not warned of", "!document.querySelector('"+who(w, cleo)+" .badge.warning')")

	p.click(radio("On a call 2"))
	p.untilPeople("Dan Dubois", "Cleo Castel") // the longest first
	p.click(radio("Free 3"))
	p.untilPeople("Ada Admin", "Ana Alvarez", "Ben Brandt")
	p.fill(element{"searchbox", "Search the team"}, "BEN@")
	p.untilPeople("Ben Brandt")
	p.follow("#/team?search=nobody")
	p.untilText(".empty", "Nobody to show.")
	p.follow("#/team?shows=long")
	p.untilPeople("Dan Dubois")

	p.later(time.Hour)
	p.untilCounts(5, 2, 3, 2)
	p.untilPeople("Dan Dubois", "Cleo Castel")
	p.untilWarned(who(w, cleo))

	p.click(button("Clean up stale calls"))
	p.untilSaid("dialog", "1 call.")
	p.click(button("End stale calls"))
	p.untilSaid("[role=status]", "Dan Dubois")
	p.follow("#/team")
	p.untilPerson(w.personID(dan), "free")
	p.untilPerson(w.personID(cleo), "on-call")
	if r := w.as(ben).Availability(t, x.ID); !*r.Available {
		t.Error("the client of the stale call is not free")
	}
	if r := w.as(ben).Availability(t, y.ID); *r.Available {
		t.Error("a call that was not stale is over")
	}
	harness.Must(t, http.StatusForbidden)(w.as(ben).Do(t.Context(), http.MethodPost, "/api/user-status", nil))
	releasesWhatIsShown(w, g, p)
}

// releasesWhatIsShown: Cleo is on another call than the one that the page shows,
// because it has not heard yet. That one is not released.
func releasesWhatIsShown(w *world, g *gate, p *page) {
	p.t.Helper()
	p.watch.expect(`status of (409|502)|net::ERR_`)
	_, release := g.hold(isPoll, withoutEvents)
	w.end(cleo)
	w.start(cleo, w.clients[2])
	p.click(button("Release the call of Cleo Castel"))
	p.fill(textbox("Reason (kept on the audit trail)"), "Left for the day")
	p.click(button("Release call"))
	p.untilSaid("dialog [role=alert]", "This call is over. Cleo Castel is on another call now, which goes on.")
	release()
	p.find(element{"dialog", "This call is over"})
	if r := w.as(ben).Availability(p.t, w.clients[2].ID); *r.Available {
		p.t.Error("a call was released that nobody meant")
	}
}

// who is the selector of somebody's row.
func who(w *world, name string) string {
	w.t.Helper()
	return "[data-testid=person-" + w.personID(name).String() + "]"
}

// untilWarned waits until somebody's call is marked as a long one.
func (p *page) untilWarned(person string) {
	p.t.Helper()
	p.untilText(person+" .badge.warning", "Over an hour")
}

// untilCounts waits for the numbers at the filters.
func (p *page) untilCounts(all, onCall, free, long int) {
	p.t.Helper()
	p.until("the counts", fmt.Sprintf(
		"[...document.querySelectorAll('.segments .number')].map(e => e.textContent).join() === '%d,%d,%d,%d'", all, onCall, free, long))
}

// untilPeople waits until these are listed, in this order, and nobody else.
func (p *page) untilPeople(names ...string) {
	p.t.Helper()
	p.until(fmt.Sprint(names), fmt.Sprintf(`JSON.stringify([...document.querySelectorAll('table.team tbody .name')]
		.map(e => e.firstChild.textContent.trim())) === JSON.stringify(%s)`, asJSON(names)))
}
