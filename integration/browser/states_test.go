package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// TestStates shows what the page looks like when something is out of the
// ordinary, light and dark, and holds it to the accessibility check.
func TestStates(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	g := w.gate(nil)
	p := openChromium(t).signIn(admin, g.url)
	p.watch.expect(`net::ERR_`)
	p.watch.expect(`status of (404|409|502)`)
	s := &states{t: t, w: w, g: g, p: p, axe: axeSource(t)}
	s.rowsAndTooltip()
	s.dialogs()
	s.endedPanel()
	s.emptyAndUnknown()
	s.away()
}

// short is a list that the check is soon through with.
const short = "#/clients?search=amara"

type states struct {
	t   *testing.T
	w   *world
	g   *gate
	p   *page
	axe string
}

// inspect checks what is shown now, in both themes.
func (s *states) inspect(name string) { s.inspectOn(name, wide, dark) }

// inspectOn checks what is shown now on these screens.
func (s *states) inspectOn(name string, screens ...screen) {
	s.t.Helper()
	defer s.p.look(wide)
	for _, look := range screens {
		s.p.look(look)
		s.p.media(look.scheme, "reduce")
		s.p.settle()
		s.p.picture("state-" + name + "-" + look.name)
		s.p.mustFit(name, look)
		s.p.mustBeAccessible(s.axe, name, look)
	}
}

func (s *states) rowsAndTooltip() {
	s.t.Helper()
	s.p.follow(short)
	x := s.w.clients[0]
	s.w.start(ana, x)
	s.p.untilRow(x, "taken")
	s.p.hover(button("Call " + x.Name))
	s.p.untilSaid("[role=tooltip]:popover-open", "Being called by Ana Alvarez")
	s.inspect("tooltip")
	s.p.do(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1))
}

func (s *states) dialogs() {
	s.t.Helper()
	p, x := s.p, s.w.clients[0]
	p.click(button("Edit " + x.Name))
	p.find(element{"dialog", "Edit " + x.Name})
	s.inspect("edit")
	p.keys(kb.Escape)
	p.click(button("Delete " + x.Name))
	p.click(button("Delete client"))
	p.untilSaid("dialog [role=alert]", "being called")
	s.inspect("delete-refused")
	p.keys(kb.Escape)
	p.follow("#/team")
	p.click(button("Release the call of Ana Alvarez"))
	p.find(element{"dialog", "Release the call of Ana Alvarez?"})
	s.w.end(ana)
	p.find(element{"dialog", "This call is over"})
	s.inspect("release-too-late")
	p.keys(kb.Escape)
	p.click(button("Clean up stale calls"))
	p.find(element{"dialog", "Clean up stale calls?"})
	s.inspect("clean-up")
	p.keys(kb.Escape)
}

func (s *states) endedPanel() {
	s.t.Helper()
	p, x, y := s.p, s.w.clients[1], s.w.clients[2]
	p.follow(short)
	p.click(button("Call " + x.Name))
	p.untilPanel(x)
	p.fill(textbox("Notes"), "Wants the annual plan.")
	p.click(button("Sign out"))
	p.find(element{"dialog", "End the call and sign out?"})
	s.inspect("sign-out")
	p.keys(kb.Escape)
	s.w.release(admin)
	p.untilSaid(".call-over", "An administrator ended this call.")
	s.inspect("call-ended")
	p.click(button("Call " + y.Name))
	p.untilPanel(y)
	p.click(element{"checkbox", "Callback requested"})
	s.inspect("call-and-unsaved")
	p.click(button("End call"))
	p.until("the call's panel to go", "!document.querySelector('aside.call-panel:not(.over)')")
	p.click(button("Close without log"))
	p.untilNoPanel()
}

func (s *states) emptyAndUnknown() {
	s.t.Helper()
	p := s.p
	p.follow("#/clients?search=nobody-of-that-name")
	p.untilSaid(".empty", "No client matches")
	s.inspect("no-match")
	p.follow("#/clients/" + s.w.clients[3].ID.String())
	p.untilSaid(".empty", "No calls are logged yet.")
	s.inspect("no-history")
	p.follow("#/clients/" + messages.ClientID{}.String())
	p.find(element{"alert", ""})
	s.inspect("no-such-client")
	p.follow("#/nowhere")
	p.find(heading("There is no such page"))
	s.inspect("no-such-page")
}

func (s *states) away() {
	s.t.Helper()
	p := s.p
	p.follow(short)
	p.untilRow(s.w.clients[0], "free")
	s.w.start(ana, s.w.clients[0])
	p.untilRow(s.w.clients[0], "taken")
	s.g.answer(refusing("<h1>Bad Gateway</h1>", http.StatusBadGateway))
	p.untilStale("lost")
	p.follow(short + "&limit=200")
	p.untilSaid(".form-error", "cannot read")
	s.inspectOn("server-away", wide, dark, phone)
	p.reload()
	p.find(heading("The server does not answer"))
	s.inspect("waiting")
	s.g.pass()
	p.untilConnection("live")
	s.g.answer(withoutEvents)
	p.untilConnection("polling")
	s.inspect("polling")
	s.polledStale()
}

// polledStale: a server that cannot hear of all calls says so to pages that ask.
func (s *states) polledStale() {
	s.t.Helper()
	list := string(harness.Must(s.t, http.StatusOK)(s.w.as(admin).Do(s.t.Context(), http.MethodGet, "/api/user-status", nil)).Raw)
	said := strings.Replace(list, `"stale":false`, `"stale":true`, 1)
	if said == list {
		s.t.Fatalf("the list does not say whether it is stale: %.200s", list)
	}
	s.g.answer(func(w http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
		if isPoll(r) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(said))
			return true
		}
		return withoutEvents(w, r, over)
	})
	s.p.click(button("Try now"))
	s.p.untilStale("server")
	s.p.untilSaid("[data-testid=connection]", "Possibly stale.")
	s.inspect("polling-stale")
	s.g.answer(withoutEvents)
	eval[chromedp.Void](s.p, "void dispatchEvent(new Event('online'))")
	s.p.untilStale("")
}
