package browser

import "testing"

// TestReloadAndCrash: neither loses the call, nor the notes of a reload.
func TestReloadAndCrash(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x := w.clients[0]
	b := openChromium(t)
	p := b.signIn(ana, w.server.URL)
	p.click(button("Call " + x.Name))
	p.untilPanel(x)
	p.click(radio("Busy"))
	p.fill(textbox("Notes"), "Half a sen")

	p.reload()
	p.untilPanel(x)
	p.until("the notes", "document.querySelector('aside textarea')?.value === 'Half a sen'")
	p.until("the outcome", "document.querySelector('aside input[value=busy]')?.checked")

	b.crash()
	if r := w.as(ben).Availability(t, x.ID); *r.Available {
		t.Fatal("the crash of a browser ended its call")
	}
	// Whether the browser still knows the session depends on when it last
	// wrote to its profile.
	p = openProfile(t, b.profile).open(ana, w.server.URL, "#/clients")
	p.watch.expect(`status of 401 .*/api/auth/verify`)
	p.until("the page", "document.querySelector('#main h1, main.sign-in h1')")
	if eval[bool](p, "document.querySelector('main.sign-in') !== null") {
		p.signIn(ana)
	}
	p.untilPanel(x)
	p.untilRow(x, "mine")
	p.click(button("End call"))
	p.untilNoPanel()
	if r := w.as(ben).Availability(t, x.ID); !*r.Available {
		t.Error("the call that came back could not be ended")
	}
}

// TestServerRestart: the page says that it lost the server and that what it
// shows may be stale, and catches up by itself when the server is back.
func TestServerRestart(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x, y := w.clients[0], w.clients[1]
	p := w.browserOf(ben)
	p.watch.expect(`net::ERR_`)
	p.watch.expect(`status of 503`)
	w.start(ana, x)
	p.untilRow(x, "taken")
	p.click(button("Call " + y.Name))
	p.untilPanel(y)

	w.restart(func() {
		p.untilConnection("lost")
		p.untilStale("lost")
		p.untilSaid("[data-testid=connection]", "The server does not answer.")
		p.untilSaid("[data-testid=connection]", "possibly stale")
		p.untilRow(x, "taken") // still shown
	})
	w.end(ana) // before or after the page is back: it must not matter
	p.untilConnection("live")
	p.untilStale("")
	p.untilRow(x, "free")
	p.untilPanel(y)
	p.untilRow(y, "mine")
}
