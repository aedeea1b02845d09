package actors

import (
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// supervisor starts an actor that panicked anew, in its place and with its
// mailbox, however often: the message that it panicked over is gone by then, so
// this comes to an end. (Stopping it would lose the messages behind.)
type supervisor struct {
	kind     string
	logger   *slog.Logger
	observer Observer
}

// HandleFailure implements actor.SupervisorStrategy. It runs on the goroutine
// that panicked.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, _ any,
) {
	s.observer.ActorFailed(s.kind)
	s.logger.Error("an actor panicked and starts anew", "kind", s.kind, "reason", reason, "stack", string(debug.Stack()))
	sup.RestartChildren(child)
}
