package natsapi

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

const (
	// statusPage is how many bytes of calls one answer has at most; a server that
	// takes smaller messages gets half of what it takes.
	statusPage = 512 << 10
	// statusTimeout bounds one reading, whoever still waits for it.
	statusTimeout = 10 * time.Second
	// statusKept is how long a reading is kept for its further pages.
	statusKept = 10 * time.Second

	schemaAfter = `{"type":"string","maxLength":128}`
)

// InProgress reads the calls in progress from the store: what was committed
// before it is called is in what it returns.
type InProgress interface {
	CallsInProgress(ctx context.Context) ([]messages.LiveCall, error)
}

// StatusAnswer is a page of the calls in progress.
//
// A reader of the event stream that notes where the stream stands, then reads all
// pages, and then follows the stream from there knows everything: each page was
// read from the store after the question for the first one came. What the stream
// brings first may be older than the pages.
type StatusAnswer struct {
	Calls []json.RawMessage `json:"calls"` // each a messages.LiveCall, by client
	// Next asks for the next page, as after; empty: this is the last one.
	Next string `json:"next,omitempty"`
}

func (s *Service) statusEndpoint() endpoint {
	return endpoint{"status", admission.Ask, false, "", func(ctx context.Context, x *rpc) (any, error) {
		var in struct {
			After string `json:"after"`
		}
		if err := wire.Decode(x.body, &in); err != nil {
			return nil, err
		}
		if _, err := x.caller(); err != nil {
			return nil, err
		}
		if s.cfg.InProgress == nil {
			return nil, &wire.Problem{Code: messages.CodeNotFound, Sentence: "This server does not say which calls are in progress."}
		}
		return s.readings.page(ctx, in.After, int(min(statusPage, s.nc.MaxPayload()/2)))
	}, schema("", "after", schemaAfter)}
}

// readings reads the calls in progress for all who ask, one reading at a time:
// after an outage of NATS everybody asks together. Nobody gets a reading that
// had begun before they asked.
type readings struct {
	from InProgress
	run  func(func()) // starts a goroutine that Stop waits for
	turn chan struct{}

	mu   sync.Mutex
	next *reading // guarded by mu: has not begun
	last *reading // guarded by mu: for further pages
}

// reading is the calls in progress at one time. It is not changed when done is
// closed.
type reading struct {
	id    string
	done  chan struct{}
	calls []inProgress
	err   error
}

// inProgress is a call in progress as it is sent.
type inProgress struct {
	client string
	body   json.RawMessage
}

func newReadings(from InProgress, run func(func())) *readings {
	return &readings{from: from, run: run, turn: make(chan struct{}, 1)}
}

// page returns up to limit bytes of calls, but at least one call, from behind
// after. A further page comes from the reading of the one before if that is still
// here, and else, which is just as true, from a new one.
func (r *readings) page(ctx context.Context, after string, limit int) (*StatusAnswer, error) {
	id, client, _ := strings.Cut(after, "/")
	if after != "" {
		if _, err := wire.ParseID("after", client); err != nil {
			return nil, wire.BadRequest("after must be what another answer gave as next.")
		}
		client = strings.ToLower(client)
	}
	now := r.kept(id)
	if now == nil {
		var err error
		if now, err = r.fresh(ctx); err != nil {
			return nil, err
		}
	}
	rest := now.calls
	if after != "" {
		i, found := slices.BinarySearchFunc(rest, client, func(c inProgress, client string) int { return strings.Compare(c.client, client) })
		if found {
			i++
		}
		rest = rest[i:]
	}
	out := &StatusAnswer{Calls: []json.RawMessage{}}
	for i, c := range rest {
		if limit -= len(c.body) + 1; limit < 0 && i > 0 {
			out.Next = now.id + "/" + rest[i-1].client
			r.keep(now)
			break
		}
		out.Calls = append(out.Calls, c.body)
	}
	return out, nil
}

// fresh returns a reading that begins after it was called.
func (r *readings) fresh(ctx context.Context) (*reading, error) {
	r.mu.Lock()
	next := r.next
	if next == nil {
		next = &reading{id: uuid.NewString(), done: make(chan struct{})}
		r.next = next
		r.run(func() { r.read(next) })
	}
	r.mu.Unlock()
	select {
	case <-next.done:
		return next, next.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *readings) read(n *reading) {
	defer close(n.done)
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.mu.Lock()
	r.next = nil // who asks from now on may have seen what this one does not
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	all, err := r.from.CallsInProgress(ctx)
	if err != nil {
		n.err = err
		return
	}
	n.calls = make([]inProgress, 0, len(all))
	for _, c := range all {
		body, err := json.Marshal(c)
		if err != nil {
			n.err = err
			return
		}
		n.calls = append(n.calls, inProgress{c.Call.ClientID.String(), body})
	}
	slices.SortFunc(n.calls, func(a, b inProgress) int { return strings.Compare(a.client, b.client) })
}

func (r *readings) kept(id string) *reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || r.last.id != id {
		return nil
	}
	return r.last
}

// keep has a reading at hand for its further pages, for a while.
func (r *readings) keep(n *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == n {
		return
	}
	r.last = n
	time.AfterFunc(statusKept, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.last == n {
			r.last = nil
		}
	})
}
