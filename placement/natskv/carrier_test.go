package natskv

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/placement"
)

// A request that somebody has got is not one that nobody got because the connection was
// closed for good meanwhile: asked again elsewhere it would be carried out twice.
func TestRequestUnderWayWhenTheConnectionCloses(t *testing.T) {
	s := newServer(t)
	there, here := connect(t, s), connect(t, s)
	got := make(chan struct{}, 1)
	stop, err := NewCarrier(there).Listen("b", func([]byte, func([]byte)) { got <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := there.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ask := NewCarrier(here)
	failed := make(chan error, 1)
	go func() {
		_, err := ask.Ask(ctx, "b", []byte("end a call"))
		failed <- err
	}()
	<-got
	here.Close()
	if err := <-failed; err == nil || errors.Is(err, placement.ErrNotSent) || ctx.Err() != nil {
		t.Errorf("a request that was under way: %v", err)
	}
	if _, err := ask.Ask(ctx, "b", []byte("end a call")); !errors.Is(err, placement.ErrNotSent) {
		t.Errorf("a request on a closed connection: %v", err)
	}
	if len(got) > 0 {
		t.Error("the request on the closed connection came")
	}
}
