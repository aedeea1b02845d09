package browser

import (
	"fmt"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// notesAgree: what is written in one tab stands in the other, and no tab overwrites
// or drops what it did not save.
func notesAgree(w *world, first, second *page) {
	first.t.Helper()
	x := w.clients[0] // which is on a call
	first.fill(textbox("Notes"), "Wants the annual plan.")
	second.untilNotes("", "Wants the annual plan.")
	second.click(radio("Busy"))
	first.until("the outcome", "document.querySelector('aside input[value=busy]').checked")
	first.untilNotes("", "Wants the annual plan.")
	second.untilNotes("", "Wants the annual plan.")

	// Typed while the other tab ends the call: it is not in what that tab sent.
	eval[chromedp.Void](second, `void (() => {
		const fetched = window.fetch;
		window.held = 0;
		window.fetch = async (path, how) => {
			if (how?.method === 'PUT') await new Promise((release) => { held++; window.release = release; });
			return fetched(path, how);
		};
		window.letGo = () => { window.fetch = fetched; release(); };
	})()`)
	second.click(button("End call"))
	second.until("the end to be on its way", "held > 0")
	first.click(textbox("Notes"))
	first.keys(kb.End + " By May.")
	second.untilNotes("", "Wants the annual plan. By May.")
	eval[chromedp.Void](second, "letGo()")
	for _, p := range []*page{first, second} {
		p.untilRow(x, "free")
		p.untilNotes(".over", "Wants the annual plan. By May.")
		p.mustBe("it stands there once", "document.querySelectorAll('aside.call-panel').length === 1")
	}
}

// notesOutliveTheOtherTab: that tab has put the call away, and did not save what is
// written.
func notesOutliveTheOtherTab(w *world, first, second *page) {
	first.t.Helper()
	y := w.clients[2]
	first.click(button("Call " + y.Name))
	first.untilPanel(y)
	second.untilPanel(y)
	second.fill(textbox("Notes"), "Rang for long.") // the first on the page: that of the call
	first.untilNotes(":not(.over)", "Rang for long.")
	eval[chromedp.Void](second, "localStorage.removeItem('dibs.call')")
	first.until("the call's panel to go", "!document.querySelector('aside.call-panel:not(.over)')")
	first.untilNotes(".over:last-child", "Rang for long.")

	second.click(button("End call"))
	for _, p := range []*page{first, second} {
		p.until("what was saved to go", "document.querySelectorAll('aside.call-panel').length === 1")
		p.untilNotes(".over", "Wants the annual plan. By May.")
	}
}

// signOutAsksFirst: what is not saved goes with who signs out, in both tabs.
func signOutAsksFirst(first, second *page) {
	first.t.Helper()
	first.click(button("Sign out"))
	first.find(element{"dialog", "Sign out without saving?"})
	first.untilSaid("dialog", "Amara")
	first.click(button("Cancel"))
	first.untilNotes(".over", "Wants the annual plan. By May.")
	first.click(button("Sign out"))
	first.click(button("Throw away and sign out"))
	first.find(heading("Sign in"))
	second.find(heading("Sign in"))
	first.mustBe("nothing of it is kept", "!localStorage['dibs.drafts'] && !localStorage['dibs.unsaved']")
}

// untilNotes waits until a panel, by what its selector has further, has these
// notes.
func (p *page) untilNotes(which, notes string) {
	p.t.Helper()
	p.until(fmt.Sprintf("the notes %q", notes),
		fmt.Sprintf("document.querySelector('aside.call-panel%s textarea')?.value === %q", which, notes))
}
