package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

type healthAnswer struct {
	Status string `json:"status"`
}

// healthz says that the process answers.
func (a *API) healthz(_ context.Context, x *exchange) error {
	return x.respond(http.StatusOK, healthAnswer{"ok"})
}

// readyz says whether the process can do its work.
func (a *API) readyz(_ context.Context, x *exchange) error {
	if err := a.readiness.check(a.Ready, a.Now); err != nil {
		return &problem{Code: messages.CodeUnavailable, Sentence: "This server is not ready.", Cause: err}
	}
	return x.respond(http.StatusOK, healthAnswer{"ready"})
}

const (
	readyTimeout = 2 * time.Second
	readyTTL     = 250 * time.Millisecond
)

// readiness asks at most once at a time and a few times a second, because
// anybody may ask us.
type readiness struct {
	mu    sync.Mutex
	asked time.Time
	err   error
}

func (r *readiness) check(ready func(context.Context) error, now func() time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked.IsZero() && now().Sub(r.asked) < readyTTL {
		return r.err
	}
	// Not the request's context: the answer is everybody's.
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	r.err = ready(ctx)
	r.asked = now()
	return r.err
}
