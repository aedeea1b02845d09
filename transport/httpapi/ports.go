package httpapi

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

// Calls is the engine. Every method returns by the time ctx ends or shortly
// after; what it answers is on stable storage. All are safe for concurrent
// use.
type Calls interface {
	StartCall(ctx context.Context, cmd messages.StartCall) messages.Answer
	EndCall(ctx context.Context, cmd messages.EndCall) messages.Answer
	SaveLog(ctx context.Context, cmd messages.SaveLog) messages.Answer
	RenewCall(ctx context.Context, cmd messages.RenewCall) messages.Answer
	// Availability answers from the claim itself: CodeClientNotFound for an
	// unknown client.
	Availability(ctx context.Context, client messages.ClientID) messages.Availability
}

// Statuses lists people and their calls from the store.
type Statuses interface {
	// UserStatuses returns every active user (onCallOnly: those on a call),
	// ordered by first name, last name, id.
	UserStatuses(ctx context.Context, onCallOnly bool) ([]messages.UserStatus, error)
}

// StatusList is the list of people and their calls, ready to be sent. It says
// everything that this process acknowledged before it was asked. An error is
// CodeUnavailable.
type StatusList interface {
	// StatusTag names what the list says now; it changes whenever the list does.
	StatusTag(onCall bool) (string, error)
	// StatusBody returns the answer as JSON, gzipped if asked, with whether it may
	// be stale, and the tag that names it. The bytes are shared and not to be written to.
	StatusBody(onCall, zipped bool) (body []byte, tag string, err error)
}

// LiveEvents streams who begins and ends calls.
type LiveEvents interface {
	// Stream calls send with whole frames of text/event-stream until ctx ends,
	// send fails or the reader is too slow. lastEventID is what the reader says
	// that it saw last. Nothing is sent if an error with CodeUnavailable is
	// returned at once. The bytes are shared and not to be written to.
	Stream(ctx context.Context, lastEventID string, send func(frames []byte) error) error
}

// People reads accounts, disabled ones too. Errors: CodeUserNotFound,
// CodeUnavailable.
type People interface {
	UserByID(ctx context.Context, id messages.UserID) (messages.Account, error)
	UserByEmail(ctx context.Context, email string) (messages.Account, error)
}

// Tokens keeps sessions and knows API keys, by digest alone.
type Tokens interface {
	AddSession(ctx context.Context, digest [32]byte, user messages.UserID, expires time.Time) error
	// PrincipalByToken: CodeUnauthenticated for a token that is unknown,
	// expired or revoked, or of a disabled user.
	PrincipalByToken(ctx context.Context, digest [32]byte) (messages.Principal, error)
	// RevokeSession is idempotent.
	RevokeSession(ctx context.Context, digest [32]byte) error
}

// Clients reads and writes clients. Errors: CodeClientNotFound,
// CodeClientBeingCalled (a delete), CodeUnavailable.
type Clients interface {
	ListClients(ctx context.Context, q messages.ClientQuery) ([]messages.Client, int, error)
	ClientByID(ctx context.Context, id messages.ClientID) (messages.Client, error)
	// AddClients sets times, and ids where they are zero, in place.
	AddClients(ctx context.Context, clients []messages.Client, audit ...messages.Audit) error
	// AddClientOnce makes a client, unless key was recorded before: then c becomes
	// the one that was made.
	AddClientOnce(ctx context.Context, c *messages.Client, key messages.Key) error
	// UpdateClients changes what the patches give and nothing else, also while
	// others change the same clients. It returns the clients that exist, as they
	// are now.
	UpdateClients(ctx context.Context, patches []messages.ClientPatch, audit ...messages.Audit) ([]messages.Client, error)
	DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error
}

// Logs reads call logs; they are written through [Calls].
type Logs interface {
	ListLogs(ctx context.Context, q messages.LogQuery) ([]messages.CallLog, int, error)
}

// LongCalls finds calls that somebody forgot to end.
type LongCalls interface {
	// StartedBefore returns at most limit calls in progress that began more
	// than age ago by the store's clock, the oldest first.
	StartedBefore(ctx context.Context, age time.Duration, limit int) ([]messages.HeldClaim, error)
}

// Store is what this package needs of the store.
type Store interface {
	Statuses
	People
	Tokens
	Clients
	Logs
	LongCalls
	wire.Directory
}
