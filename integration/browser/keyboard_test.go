package browser

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestKeyboardOnly signs in, calls, writes a log and saves it without a mouse.
func TestKeyboardOnly(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x := w.clients[1]
	p := openChromium(t).open(ben, w.server.URL, "")
	p.find(heading("Sign in"))
	p.tabTo(textbox("E-mail"))
	p.keys(email(ben))
	p.tabTo(textbox("Password"))
	p.keys(demoPassword + kb.Enter)
	p.find(heading("Clients"))
	p.untilConnection("live")

	// The tooltip of a button that cannot be used opens for the keyboard too,
	// and closes on Escape.
	taken := w.clients[0]
	w.start(ana, taken)
	p.untilRow(taken, "taken")
	p.tabTo(button("Call " + taken.Name))
	p.untilSaid("[role=tooltip]:popover-open", "Being called by Ana Alvarez")
	p.keys(kb.Escape)
	p.until("the tooltip to close", "!document.querySelector('[role=tooltip]:popover-open')")

	p.tabTo(button("Call " + x.Name))
	p.until("the focus to be seen", "getComputedStyle(document.activeElement).outlineStyle !== 'none'")
	p.keys(kb.Enter)
	p.untilPanel(x)
	p.until("the focus at the call", "document.activeElement.id === 'call-panel-title'")

	p.tabTo(radio("Completed"))
	p.keys(" ")
	p.keys(kb.ArrowDown)
	p.until("the next outcome", "document.querySelector('aside input[name=outcome]:checked')?.value === 'no_answer'")
	p.tabTo(textbox("Notes"))
	p.keys("Call again")
	p.tabTo(button("Save log and end call"))
	p.keys(kb.Enter)
	p.untilNoPanel()
	p.untilSaid("[role=status]", "The log of the call with "+x.Name+" is saved.")
	if r := w.as(ana).Availability(t, x.ID); !*r.Available {
		t.Error("the client is not free")
	}
}

// tabTo presses Tab until an element has the focus.
func (p *page) tabTo(e element) {
	p.t.Helper()
	p.find(e)
	var passed []element
	for range 60 {
		got := p.focused()
		if got == e {
			return
		}
		passed = append(passed, got)
		p.keys(kb.Tab)
	}
	p.t.Fatalf("%s: Tab does not lead to %s; passed %v", p.who, e, passed)
}
