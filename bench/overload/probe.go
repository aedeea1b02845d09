package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// probes are what somebody sees who looks in now and then while the load goes on:
// a load balancer, an operator, a person at the page.
type probes struct {
	Health, Ready, List looks
	// NoRetryAfter counts refusals without a Retry-After, or of another code than
	// the contract has.
	NoRetryAfter int
}

// looks are those at one address.
type looks struct {
	All, Bad int
	Slowest  float64 // ms
}

const probeEvery = 100 * time.Millisecond

// watcher looks in, and notes how much memory the server holds at most.
type watcher struct {
	d    *deployment
	stop context.CancelFunc
	done sync.WaitGroup

	mu  sync.Mutex
	saw probes // guarded by mu
	rss int64  // guarded by mu
}

func watch(ctx context.Context, d *deployment) *watcher {
	w := &watcher{d: d}
	ctx, w.stop = context.WithCancel(ctx)
	for path, note := range map[string]func(*probes) *looks{
		"/healthz": func(p *probes) *looks { return &p.Health }, "/readyz": func(p *probes) *looks { return &p.Ready },
		"/api/user-status?on_call=true": func(p *probes) *looks { return &p.List },
	} {
		w.done.Go(func() { w.each(ctx, func(c *http.Client) { w.look(ctx, c, path, note) }) })
	}
	w.done.Go(func() { w.each(ctx, func(c *http.Client) { w.refusal(ctx, c) }) })
	w.done.Go(func() { w.each(ctx, func(*http.Client) { w.memory() }) })
	return w
}

// finish returns what was seen.
func (w *watcher) finish() (probes, int64) {
	w.stop()
	w.done.Wait()
	return w.saw, w.rss
}

func (w *watcher) each(ctx context.Context, do func(*http.Client)) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for tick := time.NewTicker(probeEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			do(client)
		}
	}
}

func (w *watcher) look(ctx context.Context, c *http.Client, path string, note func(*probes) *looks) {
	began := time.Now()
	status, _ := w.ask(ctx, c, http.MethodGet, path, "")
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := note(&w.saw)
	l.All++
	if status != http.StatusOK {
		l.Bad++
	}
	l.Slowest = max(l.Slowest, float64(time.Since(began).Microseconds())/1000)
}

// refusal asks for a start, and looks how it is refused if it is. The client does
// not exist: if it is not refused, nothing begins.
func (w *watcher) refusal(ctx context.Context, c *http.Client) {
	body := fmt.Sprintf(`{"action":"start_call","user_id":%q,"client_id":"11111111-1111-4111-8111-111111111111"}`, w.d.users[len(w.d.users)-1])
	status, answer := w.ask(ctx, c, http.MethodPut, "/api/user-status", body)
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		return
	}
	if !strings.Contains(answer, `"code":"overloaded"`) && !strings.Contains(answer, `"code":"rate_limited"`) || !strings.HasPrefix(answer, "retry ") {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.saw.NoRetryAfter++
	}
}

func (w *watcher) ask(ctx context.Context, c *http.Client, method, path, body string) (status int, answer string) {
	req, err := w.d.request(ctx, method, path, []byte(body))
	if err != nil {
		return 0, ""
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if after := resp.Header.Get("Retry-After"); after != "" {
		return resp.StatusCode, "retry " + after + " " + string(text)
	}
	return resp.StatusCode, string(text)
}

func (w *watcher) memory() {
	now := w.d.resident()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rss = max(w.rss, now)
}
