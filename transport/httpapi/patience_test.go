package httpapi

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A patience is a context like the standard library's, whoever looks at it first.
func TestPatience(t *testing.T) {
	type key struct{}
	begun := func(parent context.Context) *patience {
		p := &patience{}
		p.begin(context.WithValue(parent, key{}, "value"), time.Minute)
		return p
	}
	ended := func(t *testing.T, ctx context.Context, want error) {
		t.Helper()
		synctest.Wait()
		select {
		case <-ctx.Done():
		default:
			t.Fatal("it goes on")
		}
		if !errors.Is(ctx.Err(), want) {
			t.Fatalf("got %v, want %v", ctx.Err(), want)
		}
	}
	for name, test := range map[string]func(t *testing.T){
		"it runs out": func(t *testing.T) {
			p := begun(t.Context())
			defer p.end()
			child, cancel := context.WithCancel(p)
			defer cancel()
			if until, ok := p.Deadline(); !ok || !until.Equal(time.Now().Add(time.Minute)) || p.Err() != nil || p.Value(key{}) != "value" {
				t.Fatalf("until %v, %v", until, p.Err())
			}
			time.Sleep(time.Minute) // the fake clock's
			ended(t, p, context.DeadlineExceeded)
			ended(t, child, context.DeadlineExceeded)
		},
		"it had run out before anybody waited": func(t *testing.T) {
			p := begun(t.Context())
			defer p.end()
			time.Sleep(2 * time.Minute) // the fake clock's
			ended(t, p, context.DeadlineExceeded)
		},
		"its parent ends": func(t *testing.T) {
			parent, cancel := context.WithCancel(t.Context())
			p := begun(parent)
			defer p.end()
			child, cancelChild := context.WithTimeout(p, time.Hour)
			defer cancelChild()
			cancel()
			ended(t, p, context.Canceled)
			ended(t, child, context.Canceled)
		},
		"its parent ends earlier": func(t *testing.T) {
			parent, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p := begun(parent)
			defer p.end()
			if until, _ := p.Deadline(); !until.Equal(time.Now().Add(time.Second)) {
				t.Fatalf("until %v", until)
			}
		},
		"whoever has a timer is told both ends": func(t *testing.T) {
			parent, cancel := context.WithCancel(t.Context())
			p := begun(parent)
			defer p.end()
			gone, until := p.Ends()
			if !until.Equal(time.Now().Add(time.Minute)) || p.timed != nil {
				t.Fatalf("until %v, %v", until, p.timed)
			}
			cancel()
			<-gone
		},
		"the request is over": func(t *testing.T) {
			waited, not := begun(t.Context()), begun(t.Context())
			done := waited.Done()
			waited.end()
			not.end()
			<-done
			ended(t, waited, context.Canceled)
			ended(t, not, context.Canceled) // also for who looks only now
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

// The standard library finds its own context in a patience: contexts made of it take no
// goroutine each to wait for its end.
func TestPatienceOfManyChildren(t *testing.T) {
	const many = 200
	p := &patience{}
	p.begin(t.Context(), time.Hour)
	before := runtime.NumGoroutine()
	children := make([]context.Context, many)
	for i := range children {
		child, cancel := context.WithCancel(p)
		defer cancel()
		children[i] = child
	}
	if more := runtime.NumGoroutine() - before; more > many/2 { // others may come and go
		t.Errorf("%d goroutines for %d contexts", more, many)
	}
	p.end()
	for i, child := range children {
		if !errors.Is(child.Err(), context.Canceled) {
			t.Fatalf("child %d goes on: %v", i, child.Err())
		}
	}
}

// Whoever looks first, all wait for the same end, and all see it.
func TestPatienceOfManyGoroutines(t *testing.T) {
	const many = 8
	for range 50 {
		type key struct{}
		p := &patience{}
		p.begin(context.WithValue(t.Context(), key{}, "value"), time.Hour)
		dones := make([]<-chan struct{}, many)
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				value := p.Value(key{})
				dones[i] = p.Done()
				child, cancel := context.WithCancel(p)
				defer cancel()
				<-child.Done()
				if !errors.Is(p.Err(), context.Canceled) || value != "value" {
					t.Errorf("%v, %v", p.Err(), value)
				}
			})
		}
		all.Go(p.end)
		all.Wait()
		for _, done := range dones {
			if done != dones[0] {
				t.Fatal("not all wait for the same")
			}
		}
	}
}
