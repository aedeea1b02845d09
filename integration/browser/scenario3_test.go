package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// TestScenario3 is the third test scenario of the specification, line by line.
func TestScenario3(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.clients[2]

	// 1. Open Clients page in two browsers (different users)
	left, right := w.browserOf(ana), w.browserOf(ben)
	left.untilRow(x, "free")
	right.untilRow(x, "free")
	callX := button("Call " + x.Name)
	mustBeEnabled(right, callX)
	polls := right.watch.asked("GET /api/user-status")

	// 2. Start call in one browser
	left.click(callX)
	began := time.Now()

	// 3. Other browser should show red highlight and disabled button
	right.untilRow(x, "taken")
	t.Logf("seen by the other browser %v after the click", time.Since(began).Round(time.Millisecond))
	mustBeRed(right, x)
	mustBeDisabled(right, callX)
	right.untilText(row(x)+" .badge.taken", "Being called")
	right.mustPulse(row(x) + " .dot.taken")
	if n := right.watch.asked("GET /api/user-status") - polls; n != 0 {
		t.Errorf("the page asked %d times who is on a call: that is polling, not being told", n)
	}

	// 4. Tooltip should show who is calling
	right.hover(callX)
	right.untilSaid("[role=tooltip]:popover-open", "Being called by Ana Alvarez")
	right.until("how long", `/\d:\d\d/.test(document.querySelector('[role=tooltip]:popover-open')?.textContent)`)
	if why := right.describedAs(callX); !strings.HasPrefix(why, "Being called by Ana Alvarez for ") {
		t.Errorf("to a screen reader the button is %q", why)
	}

	// And who calls sees it differently.
	left.untilRow(x, "mine")
	left.untilPanel(x)
	left.find(button("On call with " + x.Name + ": show the call"))
	twoBrowsers(t, left, right, callX)

	// A click on the disabled button starts nothing.
	puts := right.watch.asked("PUT ")
	right.click(callX)
	left.click(button("End call"))
	right.untilRow(x, "free")
	mustBeEnabled(right, callX)
	if n := right.watch.asked("PUT ") - puts; n != 0 {
		t.Errorf("a click on the disabled button asked the server for something, %d times", n)
	}
}

// mustBeRed checks the left border and the tint of a row, and that a free row
// has neither.
func mustBeRed(p *page, c messages.Client) {
	p.t.Helper()
	type style struct {
		Border, Line, Ground, Free string
	}
	got := eval[style](p, fmt.Sprintf(`(() => {
		const taken = getComputedStyle(document.querySelector(%q));
		const free = getComputedStyle(document.querySelector('tr[data-state=free]'));
		return { Border: taken.borderLeftColor, Line: taken.borderLeftWidth + ' ' + taken.borderLeftStyle,
			Ground: taken.backgroundColor, Free: free.backgroundColor };
	})()`, row(c)))
	var r, g, b int
	if n, err := fmt.Sscanf(got.Border, "rgb(%d, %d, %d)", &r, &g, &b); n != 3 {
		p.t.Fatalf("border colour %q: %v", got.Border, err)
	}
	if r < 160 || g > 80 || b > 80 {
		p.t.Errorf("the border is %s, and that is not red", got.Border)
	}
	if got.Line != "4px solid" {
		p.t.Errorf("the border is %s", got.Line)
	}
	if got.Ground == got.Free {
		p.t.Errorf("the ground of the row is %s, like that of a free one", got.Ground)
	}
}

// mustPulse checks that something round an element moves for ever.
func (p *page) mustPulse(selector string) {
	p.t.Helper()
	p.until(selector+" to pulse", fmt.Sprintf(`document.querySelector(%q)?.getAnimations({ subtree: true })
		.some(a => a.playState === 'running' && a.effect.getTiming().iterations === Infinity)`, selector))
}

// disabled reports what assistive technology is told about a button.
func disabled(p *page, e element) bool {
	p.t.Helper()
	for _, property := range p.find(e).Properties {
		if property.Name == "disabled" {
			return string(property.Value.Value) == "true"
		}
	}
	return false
}

func mustBeDisabled(p *page, e element) {
	p.t.Helper()
	if !disabled(p, e) {
		p.t.Errorf("%s is enabled for %s", e, p.who)
	}
}

func mustBeEnabled(p *page, e element) {
	p.t.Helper()
	if disabled(p, e) {
		p.t.Errorf("%s is disabled for %s", e, p.who)
	}
}
