package model

import (
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// state is one group: the call that each user is on, and the highest token that
// each client has had. It is compared with ==.
type state struct {
	on     [Size]Call
	tokens [Size]int64
}

// callerOf returns who calls a client.
func (s *state) callerOf(client int) int {
	for user, call := range s.on {
		if call.ID != NoCall && call.Client == client {
			return user
		}
	}
	return Nobody
}

// step says whether an operation, answered as it was, can take place now, and
// what is then.
func step(s state, op *Op) (bool, state) {
	switch op.Kind {
	case Start:
		return s.start(op)
	case End:
		if op.Call == NoCall || s.on[op.User].ID == op.Call {
			s.on[op.User] = Call{}
		}
		return true, s
	case Renew:
		on := s.on[op.User]
		its := on.ID == op.Call && on.Token == op.Token
		if op.Verdict == CallOver {
			return !its, s
		}
		return its && op.Held == on, s
	case Available:
		return op.By == s.callerOf(op.Client), s
	case Expired:
		its := s.on[op.User].ID == op.Call
		if its {
			s.on[op.User] = Call{}
		}
		return its, s
	case Found:
		return s.on[op.User] == op.Held, s
	}
	panic(fmt.Sprintf("model: operation of kind %d", op.Kind))
}

func (s state) start(op *Op) (bool, state) {
	on, caller := s.on[op.User], s.callerOf(op.Client)
	switch op.Verdict {
	case UserOnCall:
		return on.ID != NoCall && on == op.Held, s
	case ClientBeingCalled:
		return caller == op.By && caller != Nobody && caller != op.User, s
	}
	free := on.ID == NoCall && caller == Nobody && op.Held.Token > s.tokens[op.Client]
	if !free {
		// One without an answer may as well have been refused here.
		return op.Verdict == Unknown, s
	}
	s.on[op.User] = op.Held
	s.tokens[op.Client] = op.Held.Token
	return true, s
}

// Result is what [Check] found.
type Result uint8

// Results. Undecided is neither: the time did not suffice.
const (
	Linearizable Result = iota
	Violation
	Undecided
)

// Check says whether the history of one group could have come from a machine
// that carries out one operation after the other. It takes no more than limit;
// zero: as long as it takes.
func Check(history []Op, limit time.Duration) Result {
	switch porcupine.CheckOperationsTimeout(machine(), operations(history), limit) {
	case porcupine.Ok:
		return Linearizable
	case porcupine.Illegal:
		return Violation
	default:
		return Undecided
	}
}

// Picture writes a page that shows a history and how far it can be explained.
func Picture(history []Op, limit time.Duration, path string) error {
	_, info := porcupine.CheckOperationsVerbose(machine(), operations(history), limit)
	return porcupine.VisualizePath(machine(), info, path)
}

func machine() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(s, input, _ any) (bool, any) {
			ok, next := step(s.(state), input.(*Op))
			return ok, next
		},
		Hash:              func(s any) uint64 { return s.(state).hash() },
		DescribeOperation: func(input, _ any) string { return input.(*Op).String() },
		DescribeState:     func(s any) string { return s.(state).String() },
	}
}

// operations leaves out what says nothing: a read without an answer.
func operations(history []Op) []porcupine.Operation {
	ops := make([]porcupine.Operation, 0, len(history))
	for i := range history {
		op := &history[i]
		if op.Verdict == Unknown && (op.Kind == Renew || op.Kind == Available) {
			continue
		}
		ops = append(ops, porcupine.Operation{ClientId: op.Process, Input: op, Call: op.Sent, Return: op.Settled})
	}
	return ops
}

func (s state) hash() uint64 {
	h := uint64(14695981039346656037) // FNV-1a, over what tells states apart
	for i := range s.on {
		h = (h ^ uint64(s.on[i].ID)) * 1099511628211
		h = (h ^ uint64(s.tokens[i])) * 1099511628211
	}
	return h
}

func (s state) String() string {
	var b strings.Builder
	for user, call := range s.on {
		if call.ID != NoCall {
			fmt.Fprintf(&b, "u%d on #%d with c%d (token %d) ", user, call.ID, call.Client, call.Token)
		}
	}
	return b.String() + fmt.Sprintf("tokens %v", s.tokens)
}

// String says an operation in a line.
func (o *Op) String() string {
	switch o.Kind {
	case Start:
		return fmt.Sprintf("u%d starts c%d: %v%s%s", o.User, o.Client, o.Verdict, o.Held.suffix(), o.bySuffix())
	case End:
		return fmt.Sprintf("u%d ends #%d: %v", o.User, o.Call, o.Verdict)
	case Renew:
		return fmt.Sprintf("u%d renews #%d (token %d): %v", o.User, o.Call, o.Token, o.Verdict)
	case Available:
		return fmt.Sprintf("is c%d free?%s", o.Client, o.bySuffix())
	case Expired:
		return fmt.Sprintf("#%d of u%d expires", o.Call, o.User)
	default:
		return fmt.Sprintf("u%d is found%s", o.User, o.Held.suffix())
	}
}

func (c Call) suffix() string {
	if c.ID == NoCall {
		return ""
	}
	return fmt.Sprintf(" #%d c%d token %d", c.ID, c.Client, c.Token)
}

func (o *Op) bySuffix() string {
	switch {
	case o.Kind == Available && o.By == Nobody:
		return " yes"
	case o.Kind == Available || o.Verdict == ClientBeingCalled:
		return fmt.Sprintf(" by u%d", o.By)
	}
	return ""
}
