package browser

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// The people of dibs serve --demo.
const (
	ana, ben, cleo, dan, admin = "ana", "ben", "cleo", "dan", "admin"

	demoPassword = "demo-password"
	readyLimit   = time.Minute
)

func email(who string) string { return who + "@example.com" }

// world is a server with the demo's people and clients.
type world struct {
	t       *testing.T
	dibs    harness.Dibs
	server  *harness.Server
	clients []messages.Client // in the order of the page
	signed  map[string]*harness.Client
}

// newWorld starts a server of the test's own.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, "")
}

// newWorldOn is newWorld on a database, with further arguments of dibs serve.
func newWorldOn(t *testing.T, database string, args ...string) *world {
	t.Helper()
	w := &world{
		t:      t,
		dibs:   harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: database}},
		signed: map[string]*harness.Client{},
	}
	w.server = w.dibs.Serve(t, append([]string{"--demo"}, args...)...)
	w.server.WaitReady(readyLimit)
	w.clients = w.as(ana).AllClients(t)
	return w
}

// restart stops the server, does what is to be done meanwhile, and starts it
// again at the same address.
func (w *world) restart(meanwhile func()) {
	w.t.Helper()
	w.server.Terminate(readyLimit)
	if meanwhile != nil {
		meanwhile()
	}
	w.server = w.dibs.ServeAt(w.t, w.server.Addr, "--demo")
	w.server.WaitReady(readyLimit)
}

// as speaks the API for somebody, beside the page.
func (w *world) as(who string) *harness.Client {
	w.t.Helper()
	if w.signed[who] == nil {
		// Its disk may stand still for a moment.
		w.signed[who] = harness.NewClient(w.t, w.server.URL, "").Patient(patience).Login(w.t, email(who), demoPassword)
	}
	return w.signed[who]
}

// start has somebody start a call through the API.
func (w *world) start(who string, client messages.Client) messages.Call {
	w.t.Helper()
	change := harness.Change{Action: "start_call", ClientID: client.ID.String()}
	return *harness.Must(w.t, http.StatusOK)(w.as(who).Put(w.t.Context(), change)).Call
}

// end has somebody end their call through the API.
func (w *world) end(who string) {
	w.t.Helper()
	harness.Must(w.t, http.StatusOK)(w.as(who).Put(w.t.Context(), harness.Change{Action: "end_call"}))
}

// personID is somebody's id.
func (w *world) personID(who string) messages.UserID {
	w.t.Helper()
	for _, u := range w.as(ana).Statuses(w.t, false) {
		if u.Email == email(who) {
			return u.ID
		}
	}
	w.t.Fatalf("%s is not among the people", who)
	return messages.UserID{}
}

// browserOf opens a browser and signs somebody in.
func (w *world) browserOf(who string) *page {
	w.t.Helper()
	return openChromium(w.t).signIn(who, w.server.URL)
}

// signIn opens the page in a browser where nobody is signed in, and signs in.
func (b *chromium) signIn(who, url string) *page {
	b.t.Helper()
	p := b.open(who, url, "")
	p.signIn(who)
	return p
}

// signInApart is signIn in a private window: with cookies and storage of its own,
// and less work for the machine than another browser.
func (b *chromium) signInApart(who, url string) *page {
	b.t.Helper()
	p := b.open(who, url, "", chromedp.WithNewBrowserContext())
	p.signIn(who)
	return p
}

// signIn fills in the form that stands on the page.
func (p *page) signIn(who string) {
	p.t.Helper()
	p.enter(who)
	p.untilConnection("live")
}

// enter is signIn that does not wait for live events.
func (p *page) enter(who string) {
	p.t.Helper()
	p.fill(textbox("E-mail"), email(who))
	p.fill(textbox("Password"), demoPassword)
	p.click(button("Sign in"))
	p.find(heading("Clients"))
}

// untilConnection waits until the page gets its news in this way.
func (p *page) untilConnection(state string) {
	p.t.Helper()
	p.until("the connection to be "+state,
		fmt.Sprintf("document.querySelector('[data-testid=connection]')?.dataset.connection === %q", state))
}

// untilStale waits until the page says so, and why: "lost", "catching-up" or
// "server". "" is that it does not.
func (p *page) untilStale(why string) {
	p.t.Helper()
	p.until(fmt.Sprintf("staleness %q", why), fmt.Sprintf(
		"document.querySelector('[data-testid=connection]')?.dataset.stale === %q && "+
			"Boolean(document.querySelector('.frame.possibly-stale')) === %t", why, why != ""))
}

// row is the selector of a client's row.
func row(c messages.Client) string { return fmt.Sprintf("[data-testid=client-%s]", c.ID) }

// untilRow waits until a client's row is free, taken or mine.
func (p *page) untilRow(c messages.Client, state string) {
	p.t.Helper()
	p.until(fmt.Sprintf("the row of %s to be %s", c.Name, state), rowIs(c, state))
}

func rowIs(c messages.Client, state string) string {
	return fmt.Sprintf("document.querySelector(%q)?.dataset.state === %q", row(c), state)
}

// untilPerson waits until somebody's row on the team page is on-call or free.
func (p *page) untilPerson(id messages.UserID, state string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%s to be %s", id, state),
		fmt.Sprintf("document.querySelector('[data-testid=person-%s]')?.dataset.state === %q", id, state))
}

// untilPanel waits for the panel of one's own call, with its timer running.
func (p *page) untilPanel(c messages.Client) {
	p.t.Helper()
	p.until("the panel of the call with "+c.Name, fmt.Sprintf(
		"document.querySelector('aside.call-panel:not(.over) #call-panel-title a')?.textContent === %q && "+
			"/\\d:\\d\\d/.test(document.querySelector('aside.call-panel [role=timer]')?.textContent)", c.Name))
}

// untilNoPanel waits until there is no call panel.
func (p *page) untilNoPanel() {
	p.t.Helper()
	p.until("the call panel to go", "document.querySelector('#app header.top') && !document.querySelector('aside.call-panel')")
}

// within waits until a condition outside of the pages holds.
func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("still waiting for %s after %v", what, limit)
		case <-tick.C:
		}
	}
}
