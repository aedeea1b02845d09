package browser

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestOutages: whatever a server or a network does instead of answering, the page
// says so and shows what it knows as possibly stale; nobody is asked to sign in
// to a server that is away; and when it is back the page catches up by itself.
func TestOutages(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	b := openChromium(t)
	liveWhenHeard(t, w, b)
	x, y := w.clients[0], w.clients[1]
	g := w.gate(map[string]string{"resumeAgain": "300"})
	p := b.signInApart(ben, g.url)
	p.watch.expect(`net::ERR_`)
	p.watch.expect(`status of 50[23]`)
	p.click(button("Call " + y.Name))
	p.untilPanel(y)
	p.watchFor("form", "main.sign-in form")
	tryNow := func() { p.clickIfThere(button("Try now")) } // it may have come back by itself
	for _, o := range []struct {
		name       string
		begin, end func()
		meanwhile  func()
		then       func()
	}{
		{name: "an overloaded server", begin: func() {
			g.answer(refusing(`{"error":"Too much to do.","code":"overloaded"}`, http.StatusServiceUnavailable))
		}, end: g.pass, meanwhile: p.reloadWhileAway},
		{name: "a proxy without a server", begin: func() {
			g.answer(refusing("<h1>Bad Gateway</h1>", http.StatusBadGateway))
		}, end: g.pass, then: tryNow},
		{name: "nobody listens", begin: g.close, end: g.open, then: tryNow},
	} {
		w.start(ana, x)
		p.untilRow(x, "taken")
		o.begin()
		p.untilStale("lost")
		p.untilSaid("[data-testid=connection] .banner", "The server does not answer.")
		p.mustBe(o.name+": old rows are still shown", rowIs(x, "taken"))
		w.end(ana)
		if o.meanwhile != nil {
			o.meanwhile()
		}
		p.mustBe(o.name+": nobody is asked to sign in", `!seen.has("form")`)
		o.end()
		if o.then != nil {
			o.then()
		}
		p.untilConnection("live")
		p.untilStale("")
		p.untilRow(x, "free")
		p.untilPanel(y)
	}
}

// refusing answers everything but the files of the page with a status.
func refusing(body string, status int) answer {
	return func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			return false
		}
		if strings.HasPrefix(body, "{") {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// withoutEvents refuses live events and nothing else, as a proxy does that was not
// told of them.
func withoutEvents(w http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
	return r.URL.Path == "/api/events" && refusing("", http.StatusBadGateway)(w, r, over)
}

// reloadWhileAway reloads the page while the server refuses to say who is signed
// in.
func (p *page) reloadWhileAway() {
	p.t.Helper()
	p.reload()
	p.watchFor("form", "main.sign-in form")
	p.find(heading("The server does not answer"))
	asked := p.watch.asked("GET /api/auth/verify")
	within(p.t, patience, "another try", func() bool { return p.watch.asked("GET /api/auth/verify") > asked })
	p.mustBe("nothing is shown of what is not known", "!document.querySelector('aside.call-panel')")
}

// liveWhenHeard: a stream that was opened and on which nothing comes is not live.
// Some proxies hold back what a server sends until there is more of it.
func liveWhenHeard(t *testing.T, w *world, b *chromium) {
	t.Helper()
	g := w.gate(map[string]string{"silence": "2_000"})
	var streams atomic.Int32
	g.answer(func(w http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
		if r.URL.Path != "/api/events" {
			return false
		}
		streams.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-over:
		case <-r.Context().Done():
		}
		return true
	})
	p := b.open(cleo, g.url, "")
	p.watch.expect(`net::ERR_INCOMPLETE_CHUNKED_ENCODING|net::ERR_ABORTED`)
	p.watchFor("live", "[data-testid=connection][data-connection=live]")
	p.enter(cleo)
	within(t, patience, "the page to give up the stream on which nothing comes", func() bool { return streams.Load() >= 2 })
	p.mustBe("a stream on which nothing came is not called live", `!seen.has("live")`)
	g.pass()
	p.until("the page to be live", `seen.has("live")`)
}

// TestHoursPass: what a screen reader is told of a call's duration goes on, and a
// machine that wakes up after hours does not show what it knew as if it were now,
// although its timers stood still and nobody has closed the stream.
func TestHoursPass(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	x, y := w.clients[0], w.clients[1]
	// So long a silence that the watchdog cannot be what wakes the page.
	g := w.gate(map[string]string{"silence": "1_800_000", "requestTimeout": "60_000"})
	p := openChromium(t).signIn(ben, g.url)
	p.watch.expect(`net::ERR_`)
	w.start(ana, x)
	p.untilRow(x, "taken")
	p.untilDescribed(button("Call "+x.Name), "Being called by Ana Alvarez for less than a minute")
	p.later(5 * time.Minute)
	p.untilDescribed(button("Call "+x.Name), "Being called by Ana Alvarez for 5 minutes")
	p.mustBe("the page is live", "document.querySelector('[data-testid=connection]').dataset.connection === 'live'")

	g.die()
	w.end(ana)
	w.start(ana, y)
	p.later(3 * time.Hour)
	p.untilStale("catching-up") // the server has only just been asked
	p.untilSaid("[data-testid=connection]", "possibly stale")
	p.mustBe("what was known is still shown", rowIs(x, "taken"))
	g.pass()
	p.untilRow(x, "free")
	p.untilRow(y, "taken")
	p.untilConnection("live")
	p.untilStale("")
}
