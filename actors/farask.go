package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// farAsk is a caller at another node who waits for one answer. The first one counts.
type farAsk[A any] struct {
	send     func(A)
	answered atomic.Bool
	done     func()

	mu    sync.Mutex
	timer *time.Timer // gives up; guarded by mu
}

func (a *farAsk[A]) answer(v A) {
	if a.answered.Swap(true) {
		return
	}
	a.mu.Lock()
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	a.send(v)
	a.done()
}

// giveUpAfter has giveUp called unless the answer comes first.
func (a *farAsk[A]) giveUpAfter(d time.Duration, giveUp func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.answered.Load() {
		a.timer = time.AfterFunc(d, giveUp)
	}
}

// hearRequest puts a request of another node to the actor that it is for.
func (s *System) hearRequest(m any, about wire.About, answer func([]byte)) {
	if answer == nil {
		return
	}
	within := about.Within
	if within <= 0 {
		within = homeWithin
	}
	check, isCheck := m.(wire.Check)
	u, do := commandOf(m, time.Now().Add(within))
	switch {
	case !s.enterFar():
		s.answerFar(answer, about.Version, unknownKind(isCheck))
	case isCheck:
		a := &farAsk[messages.Availability]{done: s.asks.Done, send: func(v messages.Availability) { s.answerFar(answer, about.Version, v) }}
		farSend(a, s.clients, check.Client.UUID, client.Check{Asker: a}, client.GiveUp{Asker: a}, within,
			messages.Availability{Code: notHere}, messages.Availability{Code: messages.CodeUnavailable})
	case do != nil && !s.gate.open():
		s.asks.Done()
		s.answerFar(answer, about.Version, messages.Answer{Code: messages.CodeUnavailable})
	case do != nil:
		a := &farAsk[messages.Answer]{done: s.asks.Done, send: func(v messages.Answer) { s.answerFar(answer, about.Version, v) }}
		farSend(a, s.users, u, &user.Command{Asker: a, Do: do}, user.GiveUp{Asker: a}, within,
			messages.Answer{Code: notHere}, messages.Answer{Code: messages.CodeOutcomeUnknown})
	default:
		s.asks.Done()
		s.answerFar(answer, about.Version, messages.Answer{Code: notHere})
	}
}

func unknownKind(isCheck bool) any {
	if isCheck {
		return messages.Availability{Code: notHere}
	}
	return messages.Answer{Code: notHere}
}

// farSend puts m to the actor of id for a caller at another node, who gives up after
// within.
func farSend[A any](a *farAsk[A], d *directory, id uuid.UUID, m, giveUp any, within time.Duration, notHere, late A) {
	if !d.send(id, m) {
		a.answer(notHere)
		return
	}
	a.giveUpAfter(within, func() {
		d.sendIfAwake(id, giveUp)
		a.answer(late)
	})
}

// commandOf returns a command and whose it is, with its deadline by this node's clock.
func commandOf(m any, deadline time.Time) (u uuid.UUID, do any) {
	switch m := m.(type) {
	case messages.StartCall:
		m.Deadline = deadline
		return m.User.UUID, m
	case wire.StartAgain:
		m.Start.Deadline = deadline
		return m.Start.User.UUID, user.StartAgain{StartCall: m.Start}
	case messages.EndCall:
		m.Deadline = deadline
		return m.User.UUID, m
	case messages.SaveLog:
		m.Deadline = deadline
		return m.User.UUID, m
	case messages.RenewCall:
		m.Deadline = deadline
		return m.User.UUID, m
	case messages.ReportStarted:
		return m.User.UUID, m
	case messages.ReportEnded:
		return m.User.UUID, m
	}
	return uuid.Nil, nil
}

// answerFar sends an answer to another node, which speaks version.
func (s *System) answerFar(answer func([]byte), version int, v any) {
	if answer == nil {
		return
	}
	b, err := s.codec.Encode(v, version, 0)
	if err != nil {
		s.config.Logger.Error("an answer cannot be sent to another node", "error", err)
		return
	}
	answer(b)
}

// enterFar admits a request to or of another node; s.asks.Done must follow. The gate is
// not asked: it tells of this node's store only.
func (s *System) enterFar() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.stopping {
		return false
	}
	s.asks.Add(1)
	return true
}
