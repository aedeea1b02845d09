package browser

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestPages shows each page, with all that can stand on it, on a light, a dark
// and a phone-sized screen. Each must pass the accessibility check and must not
// scroll sideways.
func TestPages(t *testing.T) {
	takesLong(t)
	t.Parallel()
	w := newWorld(t)
	busyTeam(w)
	axe := axeSource(t)
	b := openChromium(t)
	p := b.open(ana, w.server.URL, "")
	inspect := func(name string) {
		t.Helper()
		p.do(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1)) // over nothing that would show it
		for _, s := range []screen{wide, dark, phone} {
			p.look(s)
			p.media(s.scheme, "reduce")
			p.settle()
			p.picture(name + "-" + s.name)
			p.mustFit(name, s)
			p.mustBeAccessible(axe, name, s)
		}
		p.look(wide)
	}

	p.find(heading("Sign in"))
	inspect("sign-in")
	p.signIn(ana)
	inspect("clients")
	p.click(button("Call " + w.clients[1].Name))
	p.untilPanel(w.clients[1])
	p.click(radio("Completed"))
	p.fill(textbox("Notes"), "Would like the brochure. Prefers to be called in the morning.")
	inspect("call")
	p.click(button("End call"))
	p.untilNoPanel()
	p.click(button("Close this message"))
	p.follow("#/clients/" + w.clients[0].ID.String())
	p.find(heading("History"))
	p.until("the history", "document.querySelectorAll('table.logs tbody tr').length === 4")
	inspect("history")
	p.follow("#/clients")
	p.click(button("Add client"))
	p.find(element{"dialog", "Add a client"})
	inspect("add-client")
	p.reload()
	p.untilConnection("live")
	p.click(button("Sign out"))
	p.find(heading("Sign in"))
	p.signIn(admin)
	p.follow("#/team")
	p.find(heading("Team"))
	p.untilSaid("tr.long", "Over an hour")
	inspect("team")
	p.click(button("Release the call of Dan Dubois"))
	p.find(textbox("Reason (kept on the audit trail)"))
	inspect("release")
}

// busyTeam puts some people on calls, one of them for more than an hour, and
// gives the first client a history.
func busyTeam(w *world) {
	w.t.Helper()
	w.start(dan, w.clients[5])
	w.restart(func() { backdate(w, 75*time.Minute) })
	w.start(cleo, w.clients[3])
	day := time.Now().UTC().Truncate(24 * time.Hour).Add(-9 * 24 * time.Hour).Add(9*time.Hour + 12*time.Minute)
	for i, l := range []struct {
		status, notes string
		seconds       int
		callback      bool
	}{
		{"no_answer", "", 0, false},
		{"busy", "Line busy twice.", 0, false},
		{"missed", "Left a message with her assistant.", 41, true},
		{"completed", "Interested in the annual plan; send the comparison sheet.\nDecides with her colleague next week.", 412, false},
	} {
		began := day.Add(time.Duration(i) * 49 * time.Hour)
		log := map[string]any{
			"client_id": w.clients[0].ID, "call_type": "outbound", "call_status": l.status, "notes": l.notes,
			"call_started_at": began,
		}
		if l.seconds > 0 {
			log["call_duration"] = l.seconds
		}
		if l.callback {
			log["callback_requested"], log["callback_time"] = true, began.Add(24*time.Hour)
		}
		harness.Must(w.t, http.StatusCreated)(w.as(ana).Do(w.t.Context(), http.MethodPost, "/api/call-logs", log))
	}
}

// backdate makes the calls in progress older, in the store of a server that is
// not running.
func backdate(w *world, by time.Duration) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dibs.Store.DataDir, "*.db"))
	if err != nil || len(files) != 1 {
		w.t.Fatalf("database files: %v, %v; want one", files, err)
	}
	db, err := sql.Open("sqlite", "file:"+files[0])
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(w.t.Context(), "update claims set started_at = started_at - ?", by.Microseconds()); err != nil {
		w.t.Fatal(err)
	}
}

// settle waits until nothing moves and all fonts and styles are there.
func (p *page) settle() {
	p.t.Helper()
	p.until("the page to settle", `document.readyState === 'complete' && document.fonts.status === 'loaded' &&
		document.querySelector('[aria-busy=true]') === null &&
		document.getAnimations().every(a => a.playState !== 'running' || a.effect.getTiming().iterations === Infinity)`)
}

// mustFit checks that the page does not scroll sideways.
func (p *page) mustFit(name string, s screen) {
	p.t.Helper()
	if over := eval[int](p, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		p.t.Errorf("%s, %s: the page is %d pixels too wide", name, s.name, over)
	}
}

// violation is a finding of axe-core.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML, FailureSummary string
	}
}

// mustBeAccessible runs axe-core on the page as it is. Minor and moderate
// findings are shown; serious and critical ones fail the test.
func (p *page) mustBeAccessible(axe, name string, s screen) {
	p.t.Helper()
	if !eval[bool](p, "typeof axe === 'object'") {
		eval[bool](p, axe+"; true")
	}
	var got struct {
		Passes     int
		Violations []violation
	}
	p.must(json.Unmarshal([]byte(eval[string](p, `axe.run({ resultTypes: ['violations'] })
		.then(r => JSON.stringify({ Passes: r.passes.length, Violations: r.violations }))`)), &got))
	if got.Passes < 10 {
		p.t.Errorf("%s, %s: only %d rules applied; the check did not see the page", name, s.name, got.Passes)
	}
	for _, v := range got.Violations {
		report := p.t.Logf
		if v.Impact == "serious" || v.Impact == "critical" {
			report = p.t.Errorf
		}
		report("%s, %s: %s (%s): %s%s", name, s.name, v.ID, v.Impact, v.Help, where(v))
	}
}

func where(v violation) string {
	var out strings.Builder
	for _, n := range v.Nodes {
		fmt.Fprintf(&out, "\n\t%.200s\n\t%s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n\t"))
	}
	return out.String()
}

// axeSource is the library, held to its manifest.
func axeSource(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("testdata", "third_party", "axe-core")
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest []struct{ File, SHA256 string }
	if err := json.Unmarshal(text, &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest of %s: %v, %v", dir, manifest, err)
	}
	source, err := os.ReadFile(filepath.Join(dir, manifest[0].File))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(source); hex.EncodeToString(sum[:]) != manifest[0].SHA256 {
		t.Fatalf("%s is not what its manifest says", manifest[0].File)
	}
	return string(source)
}
