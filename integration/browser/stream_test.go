package browser

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// events is somebody's live stream, read beside the page.
type events struct {
	t     *testing.T
	lines chan string
}

func (w *world) events(who string) *events {
	w.t.Helper()
	body := map[string]string{"email": email(who), "password": demoPassword}
	login := harness.Must(w.t, http.StatusOK)(
		harness.NewClient(w.t, w.server.URL, "").Do(w.t.Context(), http.MethodPost, "/api/auth/login", body))
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/api/events", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+login.Token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req) //nolint:bodyclose // the reader below closes it
	if err != nil {
		w.t.Fatal(err)
	}
	e := &events{t: w.t, lines: make(chan string, 10_000)}
	go func() {
		defer close(e.lines)
		defer resp.Body.Close()
		for scanner := bufio.NewScanner(resp.Body); scanner.Scan(); {
			e.lines <- scanner.Text()
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		for range e.lines { // until the reader has ended
		}
	})
	return e
}

// until reads on to an event of this kind about a client.
func (e *events) until(kind string, c messages.Client) {
	e.t.Helper()
	limit := time.After(patience)
	event := ""
	for {
		select {
		case line, open := <-e.lines:
			if !open {
				e.t.Fatalf("the stream ended before %s of %s", kind, c.Name)
			}
			if name, ok := strings.CutPrefix(line, "event: "); ok {
				event = name
			}
			if event == kind && strings.HasPrefix(line, "data:") && strings.Contains(line, fmt.Sprintf("%q", c.ID.String())) {
				return
			}
		case <-limit:
			e.t.Fatalf("no %s of %s on the stream after %v", kind, c.Name, patience)
		}
	}
}
