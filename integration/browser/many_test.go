package browser

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

const (
	manyClients = 5_000
	// longTask is how long the page may be deaf to its user at most, in
	// milliseconds, for what is to take a few: the machine has other things to do, and the
	// time is that on the wall.
	longTask = 3_000
)

// TestThousandsOfRows: on the longest page that can be had of thousands of
// clients, an event touches the row that it is about and no other, a burst of
// events does not freeze the page, and a second that passes touches nobody who is
// not on a call.
func TestThousandsOfRows(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	w.restart(func() { importMany(w) })
	p := openChromium(t).signIn(ben, w.server.URL)
	p.follow("#/clients?limit=1000")
	p.until("a thousand rows", rows+" === 1000")
	p.untilSaid(".total", "5,200 clients")
	p.settle()
	shown := w.shown(1000)
	countChanges(p)

	x := shown[500]
	w.start(ana, x)
	p.untilRow(x, "taken")
	w.end(ana)
	p.untilRow(x, "free")
	mustTouch(p, x)

	// A burst: three people, a hundred calls in all, spread over the page.
	touched := []messages.Client{x}
	for i := range 100 {
		who := []string{ana, cleo, dan}[i%3]
		c := shown[(i*37)%1000]
		touched = append(touched, c)
		w.start(who, c)
		if i < 97 {
			w.end(who)
		}
	}
	still := touched[98:]
	for _, c := range still {
		p.untilRow(c, "taken")
	}
	mustTouch(p, touched...)

	// Seconds pass.
	eval[bool](p, "touched.clear(); true")
	p.until("some seconds of a call", fmt.Sprintf("/0:0[3-9]|0:[1-5]/.test(document.querySelector(%q).textContent)", row(still[2])))
	mustTouch(p, still...)
	if longest := eval[float64](p, "Math.max(0, ...tasks)"); longest > longTask {
		t.Errorf("the page was deaf for %.0f ms", longest)
	} else {
		t.Logf("longest task: %.0f ms; frames: %d", longest, eval[int](p, "frames"))
	}
}

// importMany brings clients into the store of a server that is not running.
func importMany(w *world) {
	w.t.Helper()
	var csv strings.Builder
	csv.WriteString("name,phone,email\n")
	for i := range manyClients {
		fmt.Fprintf(&csv, "Client %04d,+1202556%04d,client%d@example.org\n", i, i, i)
	}
	file := filepath.Join(w.t.TempDir(), "clients.csv")
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.dibs.MustRun(w.t, "clients", "import", file)
}

// shown is the first clients in the order of the page.
func (w *world) shown(n int) []messages.Client {
	w.t.Helper()
	path := fmt.Sprintf("/api/clients?limit=%d", n)
	return harness.Must(w.t, http.StatusOK)(w.as(ana).Do(w.t.Context(), http.MethodGet, path, nil)).Clients
}

// countChanges remembers in the page which rows anything changes in, and how
// long its tasks take.
func countChanges(p *page) {
	p.t.Helper()
	eval[bool](p, `(() => {
		window.touched = new Set();
		new MutationObserver((records) => {
			for (const { target } of records) {
				const element = target instanceof Element ? target : target.parentElement;
				touched.add(element?.closest('tr')?.dataset.testid ?? element?.tagName);
			}
		}).observe(document.querySelector('table.clients'), { subtree: true, childList: true, attributes: true, characterData: true });
		window.tasks = [];
		new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration))).observe({ entryTypes: ['longtask'] });
		window.frames = 0;
		const frame = () => { frames++; requestAnimationFrame(frame); };
		requestAnimationFrame(frame);
		return true;
	})()`)
}

// mustTouch checks that something changed in rows of these clients, and in no
// others.
func mustTouch(p *page, clients ...messages.Client) {
	p.t.Helper()
	allowed := map[string]bool{}
	for _, c := range clients {
		allowed["client-"+c.ID.String()] = true
	}
	got := eval[[]string](p, "[...touched]")
	if len(got) == 0 {
		p.t.Error("nothing changed in the list: the test sees nothing")
	}
	for _, name := range got {
		if !allowed[name] {
			p.t.Errorf("%s changed, which nothing happened to", name)
			return
		}
	}
}
