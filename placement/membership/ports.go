package membership

import (
	"context"
	"errors"
	"time"

	"github.com/dibs-calls/dibs/placement"
)

// ErrEvicted says that others have judged this member gone.
var ErrEvicted = errors.New("others have judged this node gone")

// Register is where members stand. Implementations are safe for concurrent use.
type Register interface {
	// Exchange writes own and returns all members as they stand after that, own
	// included, and those removed, for a while, as Left: whatever was written before own is in what is returned. After a write
	// that succeeded, an earlier one of the same member that failed can have no effect
	// any more. ErrEvicted if others have removed own.
	Exchange(ctx context.Context, own placement.Member) ([]placement.Member, error)
	// Remove takes out a member of which nothing comes any more. Idempotent.
	Remove(ctx context.Context, id string) error
	// Changed gets a value soon after others have changed what they wrote.
	Changed() <-chan struct{}
}

// Sessions is the store, as far as it keeps what the dead had under way from taking
// effect.
type Sessions interface {
	// Enlist names the sessions on which this node writes from now on after the member
	// id. Before each write valid is asked, with the session in hand. While alone says
	// so no other member keeps actors.
	Enlist(id string, valid, alone func() bool)
	// Settle returns when everything is over that this node had begun to write when it
	// was called. Others act on what it gives up only after that.
	Settle(ctx context.Context) error
	// Outlive ends all sessions of members other than live, and returns when they are
	// over.
	Outlive(ctx context.Context, live []string) error
}

// Host keeps the actors.
type Host interface {
	// LetGo stops all actors that do not live here any more, and returns when they
	// have stopped.
	LetGo(ctx context.Context) error
	// Hear takes a message of another node; answer is nil if none is asked for. It must
	// not block.
	Hear(message []byte, answer func([]byte))
	// Rest returns when nothing that this node writes is under way.
	Rest(ctx context.Context) error
}

// Carrier carries messages between nodes. Implementations are safe for concurrent use.
type Carrier interface {
	// Listen has hear called with what is sent to member id from now on, and a way to
	// answer if an answer is asked for; not any more once stop was called.
	Listen(id string, hear func(message []byte, answer func([]byte))) (stop func(), err error)
	// Ask sends a request and waits for the answer as long as ctx lets it. An error
	// that is placement.ErrNotSent says that it did not arrive and never will.
	Ask(ctx context.Context, id string, request []byte) ([]byte, error)
	// Tell sends a message that may be lost.
	Tell(id string, message []byte) error
}

// Observer is told what happens, for metrics.
type Observer interface {
	Beat(took time.Duration, err error)
	Fenced()
	ViewChanged()
	// Asked is told of every request to another node.
	Asked(took time.Duration, err error)
}

type noObserver struct{}

func (noObserver) Beat(time.Duration, error)  {}
func (noObserver) Fenced()                    {}
func (noObserver) ViewChanged()               {}
func (noObserver) Asked(time.Duration, error) {}
