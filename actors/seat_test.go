package actors_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// patient is the context of a caller who may hang up, and waits until a moment.
type patient struct {
	context.Context
	gone  chan struct{}
	until time.Time
}

func newPatient(within time.Duration) patient {
	return patient{context.Background(), make(chan struct{}), time.Now().Add(within)}
}

func (p patient) Done() <-chan struct{}              { panic("the engine has timers of its own") }
func (p patient) Ends() (<-chan struct{}, time.Time) { return p.gone, p.until }

// A caller who hangs up or has waited long enough is let go, and the answer that comes
// later is nobody else's.
func TestCallersWhoGiveUp(t *testing.T) {
	for name, giveUp := range map[string]func(patient){
		"by hanging up":   func(p patient) { close(p.gone) },
		"by waiting long": func(patient) { time.Sleep(time.Second) }, // the fake clock's
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newSystem(t, nil)
				want(t, s.StartCall(newPatient(time.Second), startOf(1, 1)), messages.OK)
				b := block(t, store, messages.WriteRelease)
				p := newPatient(time.Second)
				ended := later(func() messages.Answer { return s.EndCall(p, endOf(1)) })
				<-b.entered
				still(t, ended)
				giveUp(p)
				want(t, <-ended, messages.CodeOutcomeUnknown)
				// Callers who come now wait at seats of their own until the end is committed.
				next := later(func() messages.Answer { return s.StartCall(newPatient(time.Second), startOf(1, 2)) })
				look := later(func() messages.Availability { return s.Availability(newPatient(time.Second), clientN(1)) })
				still(t, next)
				still(t, look)
				b.free()
				if a := want(t, <-next, messages.OK); a.Call.ClientID != clientN(2) {
					t.Errorf("answered with another's call: %+v", a.Call)
				}
				if a := <-look; a.Code != messages.OK || a.Caller != nil {
					t.Errorf("availability %+v", a)
				}
			})
		})
	}
}

// However many give up, whoever waits is given their own answer.
func TestSeatsAreNotMixedUp(t *testing.T) {
	s, _ := newSystem(t, nil)
	var all sync.WaitGroup
	for n := range byte(8) {
		all.Go(func() {
			for range 300 {
				p := newPatient(time.Duration(rand.Int64N(int64(200 * time.Microsecond))))
				start := startOf(n+1, n+1)
				if a := s.StartCall(p, start); a.Code == messages.OK && a.Call.ID != start.Call {
					t.Errorf("asked for %v, got %v", start.Call, a.Call.ID)
				}
				if a := s.EndCall(newPatient(time.Minute), endOf(n+1)); a.Code != messages.OK {
					t.Errorf("end: %v", a.Code)
				} else if a.Ended != nil && a.Ended.UserID != userN(n+1) {
					t.Errorf("ended the call of %v", a.Ended.UserID)
				}
			}
		})
	}
	all.Wait()
}
