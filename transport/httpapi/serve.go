package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/spans"
)

// serve is what every request goes through.
func (a *API) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	a.exchange(&exchange{w: w, r: r, route: rt, rooms: &a.rooms})
}

// exchange answers the request of x, which nobody has touched.
func (a *API) exchange(x *exchange) {
	rt, began := x.route, a.Now()
	defer func() { // also when the answer is broken off
		if x.helping != nil {
			x.helping.done()
		}
		took := a.Now().Sub(began)
		if !rt.stream || x.status != http.StatusOK { // how long a page was open is no latency
			rt.seconds.of(x.status).Observe(took.Seconds())
		}
		if a.Log.Enabled(x.r.Context(), slog.LevelDebug) {
			a.logServed(x, took)
		}
	}()
	defer func() {
		if v := recover(); v != nil {
			a.recovered(x, v)
		}
		x.rooms.leave(x.room)
	}()
	a.setHeader(x.w.Header())
	if err := a.run(x); err != nil {
		a.fail(x, problemOf(err, x.r.Method))
	}
}

// run checks who is asking, reads the body, takes a place in the engine and
// lets the handler do the rest.
func (a *API) run(x *exchange) error {
	rt := x.route
	if rt.access == signedIn || rt.access == adminsOnly {
		if err := a.authenticate(x); err != nil {
			return err
		}
	}
	if rt.stream {
		return rt.handle(x.r.Context(), x)
	}
	if rt.access != unmetered && !rt.inMemory && !a.Reachable() {
		return &problem{Code: messages.CodeUnavailable}
	}
	if rt.maxBody > 0 {
		if err := x.readBody(rt.maxBody); err != nil {
			return err
		}
	}
	if rt.change { // before a place is taken: which one depends on it
		x.change = &x.memory().change
		if err := x.decode(x.change); err != nil {
			return err
		}
	}
	ctx := x.r.Context()
	if !rt.inMemory {
		x.patience.begin(ctx, rt.timeout)
		defer x.patience.end()
		ctx = &x.patience
	}
	if rt.access == unmetered {
		return rt.handle(ctx, x)
	}
	place, err := a.enter(x)
	if err != nil {
		return err
	}
	defer a.leave(x, place)
	return rt.handle(ctx, x)
}

// readBody reads a body of at most limit bytes. One that says beforehand that
// it is larger is not read at all.
func (x *exchange) readBody(limit int64) (err error) {
	n := x.r.ContentLength
	switch {
	case n > limit:
		// Close, or the server would read what is left to keep the connection.
		x.w.Header().Set("Connection", "close")
		return tooLarge(limit)
	case n >= 0:
		mine := x.memory()
		mine.body = slices.Grow(mine.body[:0], int(n))[:n]
		x.body = mine.body
		_, err = io.ReadFull(x.r.Body, x.body)
	default:
		x.body, err = io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, limit))
	}
	if err == nil {
		_ = x.r.Body.Close() // it was read whole; spares net/http looking for more
		return nil
	}
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return tooLarge(limit)
	}
	return badRequest("The body ended before it was complete, or took too long.")
}

func tooLarge(limit int64) *problem {
	return &problem{Code: messages.CodeTooLarge, Sentence: fmt.Sprintf("The body is larger than %d KiB.", limit>>10)}
}

// recovered answers for a handler that panicked. When the answer had begun it
// can only be broken off.
func (a *API) recovered(x *exchange, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // a panic value, as net/http compares it
		panic(v)
	}
	cause := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	if x.status != 0 {
		a.mark(x, messages.CodeInternal, http.StatusInternalServerError)
		a.logFailure(x, x.status, &problem{Code: messages.CodeInternal, Cause: cause})
		panic(http.ErrAbortHandler)
	}
	a.fail(x, &problem{Code: messages.CodeInternal, Cause: cause})
}

func (a *API) logServed(x *exchange, took time.Duration) {
	a.Log.LogAttrs(x.r.Context(), slog.LevelDebug, "request", spans.Logged(x.r.Context(), []slog.Attr{
		slog.String("method", x.r.Method), slog.String("route", x.route.pattern),
		slog.Int("status", x.status), slog.Duration("took", took)})...)
}

// logFailure logs what is the server's fault: every defect, and of the many
// refusals of an overload or an outage enough to notice.
func (a *API) logFailure(x *exchange, status int, p *problem) {
	attrs := []slog.Attr{slog.String("method", x.r.Method), slog.String("route", x.route.pattern),
		slog.Int("status", status), slog.String("code", string(p.Code)), slog.Any("cause", p.Cause)}
	if x.who != nil {
		attrs = append(attrs, slog.String("caller", x.who.Caller()))
	}
	attrs = spans.Logged(x.r.Context(), attrs)
	if status == http.StatusServiceUnavailable {
		a.busyLog.Do(func() {
			a.Log.LogAttrs(x.r.Context(), slog.LevelWarn, "request refused", attrs...)
		})
		return
	}
	a.Log.LogAttrs(x.r.Context(), slog.LevelError, "request failed", attrs...)
}

// headerLine is one line that every answer carries. The values are shared by
// all answers and never written to.
type headerLine struct {
	key   string
	value []string
}

func securityHeader() []headerLine {
	return []headerLine{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"X-Frame-Options", []string{"DENY"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}},
		{"Cache-Control", []string{"no-store"}},
	}
}

func (a *API) setHeader(h http.Header) {
	for _, line := range a.header {
		h[line.key] = line.value
	}
}
