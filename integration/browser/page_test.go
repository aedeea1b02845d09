package browser

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for what should happen at once: for a
// machine that has much else to do.
const patience = 45 * time.Second

// page is a tab. It is used by one goroutine.
type page struct {
	t     *testing.T
	who   string // for messages
	base  string // http://host:port
	ctx   context.Context
	watch *watch
}

// open opens a tab on a server, at an address within the page such as
// "#/clients". At the end of the test the tab's console must be clean.
func (b *chromium) open(who, url, address string, options ...chromedp.ContextOption) *page {
	b.t.Helper()
	w := newWatch(url)
	ctx, closeTab := chromedp.NewContext(b.ctx, append(options, chromedp.WithListener(w.see))...)
	p := &page{t: b.t, who: who, base: url, ctx: ctx, watch: w}
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("what %s sees:\n%s", who, p.text())
		}
		w.check(b.t, who)
		closeTab()
	})
	p.must(chromedp.Do(ctx)) // starts the tab; its life must not hang on a timeout
	p.look(wide)
	p.goTo(address)
	return p
}

// goTo loads an address within the page.
func (p *page) goTo(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.base + "/" + address))
}

// reload loads the page anew, as its user does with F5.
func (p *page) reload() {
	p.t.Helper()
	p.do(chromedp.Reload())
}

// follow changes the address as a link does, without loading anything anew.
func (p *page) follow(address string) {
	p.t.Helper()
	eval[chromedp.Void](p, fmt.Sprintf("void (location.hash = %q)", address))
}

func (p *page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", p.who, err)
	}
}

// do takes steps that must succeed.
func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	p.must(chromedp.Do(ctx, steps...))
}

// eval is the value of a JavaScript expression, or of its promise.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %.200s: %v", p.who, expression, err)
	}
	return v
}

// wait waits until try says that it is done. An error of try is an answer for
// now: a page that is being replaced cannot be asked.
func (p *page) wait(what string, try func(ctx context.Context, t *chromedp.Target) (bool, error)) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := chromedp.Run(ctx, try)
		if done {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s: still waiting for %s after %v (%v)", p.who, what, patience, err)
		case <-tick.C:
		}
	}
}

// until waits until a JavaScript condition holds.
func (p *page) until(what, condition string) {
	p.t.Helper()
	p.wait(what, chromedp.Evaluate[bool]("Boolean("+condition+")"))
}

// untilText waits until an element, by its selector, says exactly this.
func (p *page) untilText(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%q in %s", text, selector),
		fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.innerText.trim() === %q)", selector, text))
}

// untilSaid waits until an element, by its selector, says this among other
// things.
func (p *page) untilSaid(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%q in %s", text, selector),
		fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))", selector, text))
}

// mustBe checks a JavaScript condition that holds now or is broken.
func (p *page) mustBe(what, condition string) {
	p.t.Helper()
	if !eval[bool](p, "Boolean("+condition+")") {
		p.t.Errorf("%s: not so: %s", p.who, what)
	}
}

// watchFor remembers in the page's set "seen" that an element was there, if only
// for a moment.
func (p *page) watchFor(name, selector string) {
	p.t.Helper()
	eval[chromedp.Void](p, fmt.Sprintf(`void (() => {
		window.seen ??= new Set();
		const look = () => document.querySelector(%q) && seen.add(%q);
		new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
		look();
	})()`, selector, name))
}

// later has the page's clock on the wall jump ahead, while its timers go on as
// they were. So it is on a machine that slept, and so hours pass in a test.
func (p *page) later(by time.Duration) {
	p.t.Helper()
	eval[chromedp.Void](p, fmt.Sprintf("void ((now) => { Date.now = () => now() + %d; })(Date.now)", by.Milliseconds()))
}

// text is all that can be read on the page, for the message of a failed test.
func (p *page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.hash + '\\n' + document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.3000s", text)
}

// screen is what one looks at the page on.
type screen struct {
	name          string
	width, height int
	scale         float64
	scheme        string // light or dark
	phone         bool
}

var (
	wide  = screen{name: "light", width: 1280, height: 800, scale: 1, scheme: "light"}
	dark  = screen{name: "dark", width: 1280, height: 800, scale: 1, scheme: "dark"}
	phone = screen{name: "phone", width: 390, height: 844, scale: 2, scheme: "light", phone: true}
)

// look has the tab look as if on that screen.
func (p *page) look(s screen) {
	p.t.Helper()
	size := emulation.SetDeviceMetricsOverrideParams{
		Width: int64(s.width), Height: int64(s.height), DeviceScaleFactor: s.scale, Mobile: s.phone,
	}
	p.do(command(emulation.SetDeviceMetricsOverride, size))
	p.media(s.scheme, "no-preference")
}

// media sets what the system prefers. Without motion nothing pulses, and a
// picture is the same whenever it is taken.
func (p *page) media(scheme, motion string) {
	p.t.Helper()
	p.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
	}}))
}

// command is a command of the protocol, as a step.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}
