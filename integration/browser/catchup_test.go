package browser

import (
	"fmt"
	"net/http"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// theStore is the page's own store, for what no click leads to.
const theStore = `import(new URL('store.js', document.querySelector('script[type=module]').src))`

// asksNoMoreThanNeeded: a page that lost its stream asks who is on a call, but not
// for ever: not when the stream is back, and not because something else was
// learned while it asked.
func asksNoMoreThanNeeded(w *world, g *gate, p *page) {
	t, x, y := p.t, w.clients[0], w.clients[1]
	t.Helper()
	held, release := g.hold(isPoll)
	p.dropStream()
	within(t, patience, "the page to ask", func() bool { return len(held) > 0 })
	p.untilConnection("live")
	w.start(ana, x)
	p.untilRow(x, "taken")
	asked := p.watch.asked("GET /api/user-status")
	eval[chromedp.Void](p, "void (window.answered = () => performance.getEntriesByName(location.origin + '/api/user-status').length)")
	before := eval[int](p, "answered()")
	release()
	p.until("the answer", fmt.Sprintf("answered() > %d", before))
	p.untilAnswered()
	if now := p.watch.asked("GET /api/user-status"); now != asked {
		t.Errorf("the page is live and has asked %d times more who is on a call", now-asked)
	}

	// Without a stream, and with something learned during each request.
	g.answer(withoutEvents)
	p.dropStream()
	p.untilConnection("polling")
	eval[chromedp.Void](p, fmt.Sprintf(`%s.then((store) => {
		const fetched = window.fetch;
		let n = 0;
		window.fetch = async (...how) => {
			const answer = await fetched(...how);
			const at = new Date(n).toISOString();
			store.learnEnded({ id: 'none ' + n++, user_id: 'nobody', client_id: 'none', started_at: at }, 'completed');
			return answer;
		};
	})`, theStore))
	w.start(cleo, y)
	p.untilRow(y, "taken")
	mergesWhatIsNewer(p)
}

// dropStream has the page give up a stream that was cut before the browser tries
// it again by itself, which takes seconds.
func (p *page) dropStream() {
	p.t.Helper()
	eval[chromedp.Void](p, "void dispatchEvent(new Event('offline'))")
}

// untilAnswered waits until what the page does with an answer that it has got is
// done: another request has gone there and back.
func (p *page) untilAnswered() {
	p.t.Helper()
	eval[chromedp.Void](p, `fetch('/api/clients?limit=1', { cache: 'no-store' }).then((r) => r.json()).then(() => undefined)`)
}

// mergesWhatIsNewer: a list that was overtaken counts for what nothing newer is
// known of.
func mergesWhatIsNewer(p *page) {
	p.t.Helper()
	got := eval[string](p, theStore+`.then((store) => {
		const early = '2026-01-01T10:00:00Z', late = '2026-01-01T11:00:00Z';
		const begun = (n, since) => ({
			call: { id: 'call ' + n, user_id: 'user ' + n, client_id: 'client ' + n, started_at: since, token: 1 },
			user: { id: 'user ' + n }, client: { id: 'client ' + n, name: 'Client ' + n },
		});
		const listed = (user, client, since) => ({
			id: 'user ' + user, is_on_call: true, current_call_client_id: 'client ' + client, call_started_at: since,
			current_call_id: 'call ' + client,
		});
		store.learnStarted(begun(1, early));
		const asked = store.changes();
		store.learnStarted(begun(2, late));
		store.learnStarted(begun(3, late));
		store.learnStarted(begun(6, early));
		store.learnEnded(begun(4, early).call, 'completed');
		store.learnHolder({ id: 'client 8', name: 'Client 8' }, { id: 'user 8', name: 'User 8', call_started_at: early });
		store.applyStatuses([[2, 9, early], [4, 4, early], [5, 5, early], [6, 7, late], [8, 8, early]].map((u) => listed(...u)), asked);
		const called = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => store.callOfClient('client ' + n)).filter(Boolean);
		return called.map(({ call }) => call.id).join();
	})`)
	if want := "call 2,call 3,call 5,call 7,call 8"; got != want {
		p.t.Errorf("after a list that was overtaken there are %s, want %s", got, want)
	}
}

// hiddenTab: a tab that is opened in the background takes none of the few
// connections that a browser has for a server, and keeps the call all the same.
// Whoever comes back to a tab is not told that the server is away.
func hiddenTab(w *world, g *gate, first, p *page) {
	t, x, y := p.t, w.clients[0], w.clients[1]
	t.Helper()
	first.watch.expect(`net::ERR_`)
	p.watch.expect(`net::ERR_`)
	first.click(button("Call " + x.Name))
	first.untilPanel(x)
	p.do(command(cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: hides}))
	streams := p.watch.asked("GET /api/events")
	p.reload()
	p.untilPanel(x)
	p.untilRow(x, "mine")
	p.mustBe("it is hidden", "document.hidden")
	if now := p.watch.asked("GET /api/events"); now != streams {
		t.Errorf("a hidden page has opened %d streams", now-streams)
	}
	eval[chromedp.Void](p, "hide(false)")
	p.untilConnection("live")

	// Hidden for longer than what is shown can be taken for true.
	eval[chromedp.Void](p, "hide(true)")
	p.until("the stream to be closed", "gaveUp > 0")
	w.start(ben, y)
	p.later(time.Minute)
	p.watchFor("lost", "[data-testid=connection][data-stale=lost]")
	held, release := g.hold(func(r *http.Request) bool {
		return r.URL.Path == "/api/events" || (r.Method == http.MethodGet && r.URL.Path == "/api/user-status")
	})
	eval[chromedp.Void](p, "hide(false)")
	within(t, patience, "the page to ask", func() bool { return len(held) > 0 })
	p.untilStale("catching-up")
	p.untilSaid("[data-testid=connection] .banner", "possibly stale")
	release()
	p.untilConnection("live")
	p.untilStale("")
	p.untilRow(y, "taken")
	p.mustBe("nobody is told that the server does not answer", `!seen.has("lost")`)
}

// hides has a page begin as one in the background, and hide and come back when it
// is told to. gaveUp counts the streams that it gave up.
const hides = `(() => {
	let hidden = true;
	Object.defineProperty(document, 'hidden', { get: () => hidden });
	Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') });
	window.hide = (now) => {
		hidden = now;
		gaveUp = 0;
		document.dispatchEvent(new Event('visibilitychange'));
	};
	window.gaveUp = 0;
	const close = EventSource.prototype.close;
	EventSource.prototype.close = function () {
		gaveUp++;
		close.call(this);
	};
})()`
