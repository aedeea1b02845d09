package browser

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// watch sees what a tab writes to its console and whom it asks. Chromedp's
// goroutine writes it, the test reads it.
type watch struct {
	base string

	mu       sync.Mutex
	requests []string // method and path, in order
	strays   []string // requests to somebody else
	console  []string // errors and warnings
	expected []*regexp.Regexp
}

func newWatch(base string) *watch { return &watch{base: base} }

func (w *watch) see(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		w.request(e.Request.Method, e.Request.URL)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			w.console = append(w.console, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			w.console = append(w.console, "console: "+arguments(e.Args))
		}
	case *runtime.EventExceptionThrown:
		w.console = append(w.console, "exception: "+e.ExceptionDetails.Text+" "+arguments([]*runtime.RemoteObject{e.ExceptionDetails.Exception}))
	}
}

func (w *watch) request(method, url string) {
	path, ours := strings.CutPrefix(url, w.base+"/")
	switch {
	case ours:
		w.requests = append(w.requests, method+" /"+path)
	case !strings.HasPrefix(url, "data:") && url != "about:blank":
		w.strays = append(w.strays, method+" "+url)
	}
}

func arguments(args []*runtime.RemoteObject) string {
	var out []string
	for _, a := range args {
		if a != nil {
			out = append(out, a.Description+string(a.Value))
		}
	}
	return strings.Join(out, " ")
}

// expect says what may stand in the console. The browser itself writes each
// refusal of the server there, and no page can keep it from doing so.
func (w *watch) expect(pattern string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = append(w.expected, regexp.MustCompile(pattern))
}

// asked counts the requests so far whose method and path begin with this.
func (w *watch) asked(prefix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// check fails the test for what stood in the console unexpectedly, and for
// requests that left the server.
func (w *watch) check(t *testing.T, who string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.console {
		if !w.isExpected(line) {
			t.Errorf("in %s's console: %s", who, line)
		}
	}
	for _, request := range w.strays {
		t.Errorf("%s's page asked somebody else: %s", who, request)
	}
}

func (w *watch) isExpected(line string) bool {
	for _, e := range w.expected {
		if e.MatchString(line) {
			return true
		}
	}
	return false
}
