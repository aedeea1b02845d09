package natsapi

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// callsInProgress is a store that counts how often it is read.
type callsInProgress struct {
	mu    sync.Mutex
	calls []messages.LiveCall
	reads int
	err   error
	wait  chan struct{} // if set, a reading that has begun takes until it is closed
	began chan struct{} // if set, gets a value for each reading
}

func (c *callsInProgress) CallsInProgress(ctx context.Context) ([]messages.LiveCall, error) {
	c.mu.Lock()
	c.reads++
	calls, err, wait, began := slices.Clone(c.calls), c.err, c.wait, c.began
	c.mu.Unlock()
	if began != nil {
		began <- struct{}{}
	}
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return calls, err
}

func (c *callsInProgress) set(calls []messages.LiveCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = calls
}

// liveCalls are n calls of different clients, in no order.
func liveCalls(n int) []messages.LiveCall {
	var all []messages.LiveCall
	for i := range n {
		e := natstest.Started(n-i, 0)
		e.Call.ClientID.UUID = natstest.ID(0xc1, 1000+(i*7919)%n)
		e.Client.ID = e.Call.ClientID
		all = append(all, messages.LiveCall{Call: e.Call, User: e.User, Client: e.Client})
	}
	return all
}

// status asks for all pages.
func (a *asking) status(between func()) (calls []messages.LiveCall, pages int) {
	a.Helper()
	for after := ""; ; pages++ {
		body, err := json.Marshal(map[string]string{"after": after})
		if err != nil {
			a.Fatal(err)
		}
		answer := a.ask("dibs.rpc.status", string(body))
		var out struct {
			Calls []messages.LiveCall
			Next  string
		}
		if err := json.Unmarshal(answer.Data, &out); err != nil || answer.Header.Get("Nats-Service-Error") != "" {
			a.Fatalf("%s: %v", answer.Data, err)
		}
		if int64(len(answer.Data)) > statusPage+1024 {
			a.Errorf("a page of %d bytes", len(answer.Data))
		}
		calls = append(calls, out.Calls...)
		if after = out.Next; after == "" {
			return calls, pages + 1
		}
		if between != nil {
			between()
		}
	}
}

func TestStatus(t *testing.T) {
	store := &callsInProgress{}
	a := newAsking(t, func(c *ServiceConfig) { c.InProgress = store })
	if calls, pages := a.status(nil); len(calls) != 0 || pages != 1 {
		t.Errorf("%d calls on %d pages", len(calls), pages)
	}
	const n = 3000
	all := liveCalls(n)
	store.set(all)
	calls, pages := a.status(nil)
	if len(calls) != n || pages < 2 || store.reads != 2 {
		t.Errorf("%d calls on %d pages, %d readings", len(calls), pages, store.reads)
	}
	want := slices.Clone(all)
	slices.SortFunc(want, byClient)
	for i, c := range calls {
		if c.Call.ID != want[i].Call.ID || c.User != want[i].User || c.Client != want[i].Client {
			t.Fatalf("call %d is %+v, want %+v", i, c, want[i])
		}
	}

	// Another node, or a later time: the pages fit together all the same. Of what
	// is there all the while, each is on one page.
	gone := 0
	calls, _ = a.status(func() {
		a.service.readings.mu.Lock()
		a.service.readings.last = nil
		a.service.readings.mu.Unlock()
		gone++
		store.set(slices.DeleteFunc(slices.Clone(all), func(c messages.LiveCall) bool { return c.Call.ID == want[n-gone].Call.ID }))
	})
	seen := map[messages.CallID]int{}
	for _, c := range calls {
		seen[c.Call.ID]++
	}
	for _, c := range want[:n-gone] {
		if seen[c.Call.ID] != 1 {
			t.Fatalf("a call is on %d pages", seen[c.Call.ID])
		}
	}

	for _, after := range []string{"x", "x/y", "/", "\x00/", strings.Repeat("a", 200)} {
		body, _ := json.Marshal(map[string]string{"after": after})
		a.refused(messages.CodeBadRequest, "dibs.rpc.status", string(body))
	}
	store.mu.Lock()
	store.err = &messages.Error{Code: messages.CodeUnavailable}
	store.mu.Unlock()
	a.refused(messages.CodeUnavailable, "dibs.rpc.status", "{}")
	newAsking(t).refused(messages.CodeNotFound, "dibs.rpc.status", "{}") // of a service that cannot say
}

func byClient(a, b messages.LiveCall) int {
	return strings.Compare(a.Call.ClientID.String(), b.Call.ClientID.String())
}

// Who asks gets no reading that had begun before, and those who wait share one.
func TestReadingsAreShared(t *testing.T) {
	store := &callsInProgress{wait: make(chan struct{}), began: make(chan struct{}, 10)}
	var all sync.WaitGroup
	r := newReadings(store, all.Go)
	ask := func() <-chan *reading {
		got := make(chan *reading, 1)
		all.Go(func() {
			n, err := r.fresh(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- n
		})
		return got
	}
	first := ask()
	<-store.began
	var later []<-chan *reading
	for range 20 {
		later = append(later, ask())
	}
	waitFor(t, 10*time.Second, "somebody to wait for the next reading", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.next != nil
	})
	store.set(liveCalls(1)) // what happened after the first reading
	close(store.wait)
	if n := <-first; len(n.calls) != 0 {
		t.Errorf("the first reading has %d calls", len(n.calls))
	}
	for _, got := range later {
		if n := <-got; len(n.calls) != 1 {
			t.Errorf("a later question was answered with an earlier reading")
		}
	}
	all.Wait()
	if store.reads > 21 || store.reads < 2 {
		t.Errorf("%d readings", store.reads)
	}
}

// Nobody waits for longer than they said, and what is read meanwhile ends by
// itself.
func TestReadingThatHangs(t *testing.T) {
	store := &callsInProgress{wait: make(chan struct{})}
	a := newAsking(t, func(c *ServiceConfig) { c.InProgress = store })
	a.refused(messages.CodeUnavailable, "dibs.rpc.status", "{}", "Dibs-Timeout", "50ms")
	close(store.wait)
	a.granted("dibs.rpc.status", "{}")
}
