package persistence

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// Journal writes batches. It is safe for concurrent use; batches that are
// written at the same time may be committed in either order.
type Journal interface {
	// Commit applies the writes in one durable transaction and returns their
	// outcomes, in the order of the writes. Releases take effect before
	// renewals, renewals before claims, whatever their order in the batch. It
	// retries by itself what the store reports as known not applied (a
	// deadlock, a serialization failure). See the package comment for errors.
	//
	// A write that started or ended a call has its event in its outcome, and in
	// the outbox, by the same transaction. A claim that was in progress before
	// and a replay start nothing.
	//
	// A log that ends a call is completed from it, see [FillLog].
	//
	// A context that ends stops waiting for the store; it never makes the
	// answer a guess.
	//
	// When it returns, the batch is the caller's again, who may write another one
	// over it; the outcomes are the caller's for good, and share no memory with the
	// batch but what its pointers lead to.
	Commit(ctx context.Context, batch []messages.Write) ([]messages.Outcome, error)
}

// ClaimReader reads the truth about calls in progress. What it returns was
// committed; a transaction whose outcome Commit could not tell is over (one
// way or the other) before a ClaimReader answers, or it answers with
// [messages.CodeUnavailable].
type ClaimReader interface {
	// ClaimsOfUsers returns the claims of those of the users who are on a
	// call, in no order.
	ClaimsOfUsers(ctx context.Context, users []messages.UserID) ([]messages.HeldClaim, error)
	// ClaimsOfClients returns the claims of those of the clients who are being
	// called, in no order.
	ClaimsOfClients(ctx context.Context, clients []messages.ClientID) ([]messages.HeldClaim, error)
	// EndedCalls returns those of the calls that have ended, in no order. The end of
	// their lease is zero.
	EndedCalls(ctx context.Context, calls []messages.CallID) ([]messages.Call, error)
	// ExistingClients returns those of the clients that exist, in no order.
	ExistingClients(ctx context.Context, clients []messages.ClientID) ([]messages.ClientID, error)
	// Expired returns at most limit claims whose lease has run out by the
	// store's clock, the longest overdue first.
	Expired(ctx context.Context, limit int) ([]messages.HeldClaim, error)
	// CallsInProgress returns all calls in progress with their users, disabled
	// ones too, and clients, in no order: one consistent read. Of a user or a
	// client whose row was taken out of the store by other means, the id alone.
	CallsInProgress(ctx context.Context) ([]messages.LiveCall, error)
	// StartedBefore returns at most limit claims that began more than age ago
	// by the store's clock, the oldest first.
	StartedBefore(ctx context.Context, age time.Duration, limit int) ([]messages.HeldClaim, error)
}

// People reads and writes accounts. Errors carry codes: CodeUserNotFound,
// CodeEmailTaken, CodeUnavailable. E-mail addresses are compared without
// regard to case. What is given as audit is written in the transaction of the
// change, and only if there was one.
type People interface {
	// AddUsers makes users, all or none, and returns them with their ids as
	// given (or made, where zero).
	AddUsers(ctx context.Context, users []messages.NewUser, audit ...messages.Audit) ([]messages.User, error)
	// UserByID returns an account, disabled ones too.
	UserByID(ctx context.Context, id messages.UserID) (messages.Account, error)
	// UserByEmail returns an account, disabled ones too.
	UserByEmail(ctx context.Context, email string) (messages.Account, error)
	// ListUsers returns all accounts, disabled ones too, by e-mail address.
	ListUsers(ctx context.Context) ([]messages.Account, error)
	// SetPassword replaces the password hash and revokes the user's sessions.
	SetPassword(ctx context.Context, id messages.UserID, hash string, audit messages.Audit) error
	// DisableUser keeps the user from signing in and from starting calls, and
	// revokes their sessions. A call in progress goes on. Idempotent.
	DisableUser(ctx context.Context, id messages.UserID, audit messages.Audit) error
	// EnableUser takes DisableUser back. Sessions that it ended stay ended.
	// Idempotent.
	EnableUser(ctx context.Context, id messages.UserID, audit messages.Audit) error
	// ActiveUsers returns everybody whose account is not disabled, in no order.
	ActiveUsers(ctx context.Context) ([]messages.User, error)
	// UserStatuses returns every active user (onCallOnly: those on a call),
	// ordered by first name, last name, id.
	UserStatuses(ctx context.Context, onCallOnly bool) ([]messages.UserStatus, error)
}

// Tokens keeps sessions and API keys. A token is known by its digest alone.
type Tokens interface {
	// AddSession keeps a session of the user until expires.
	AddSession(ctx context.Context, digest [32]byte, user messages.UserID, expires time.Time) error
	// AddAPIKey keeps an API key.
	AddAPIKey(ctx context.Context, digest [32]byte, key messages.APIKey, audit messages.Audit) error
	// PrincipalByToken returns who a token stands for. A token that is
	// unknown, expired or revoked, or of a disabled user, is
	// CodeUnauthenticated.
	PrincipalByToken(ctx context.Context, digest [32]byte) (messages.Principal, error)
	// RevokeSession forgets a session. Idempotent.
	RevokeSession(ctx context.Context, digest [32]byte) error
	// RevokeAPIKey ends an API key. CodeNotFound if there is none. Idempotent:
	// again, it keeps the first time and writes no audit.
	RevokeAPIKey(ctx context.Context, id uuid.UUID, audit messages.Audit) error
	// ListAPIKeys returns all keys, revoked ones too, newest first.
	ListAPIKeys(ctx context.Context) ([]messages.APIKey, error)
}

// Clients reads and writes clients. Errors carry codes: CodeClientNotFound,
// CodeClientBeingCalled (a delete), CodeUnavailable.
type Clients interface {
	// ListClients returns a page, by name and id, and how many match in all. An error
	// of q.Room can be found in what it returns.
	ListClients(ctx context.Context, q messages.ClientQuery) ([]messages.Client, int, error)
	// ClientByID returns one client.
	ClientByID(ctx context.Context, id messages.ClientID) (messages.Client, error)
	// FindClients returns the clients that have one of the ids or one of the
	// numbers (E.164), each once, in no order. Of several that share a number it
	// returns two: enough to know that the number names nobody.
	FindClients(ctx context.Context, ids []messages.ClientID, phones []string) ([]messages.Client, error)
	// AddClients makes clients, all or none. It sets the times, and an id
	// where it is zero, in place. audit is written in the same transaction.
	AddClients(ctx context.Context, clients []messages.Client, audit ...messages.Audit) error
	// AddClientOnce makes one client and records it with key, in one transaction
	// (I8). If key was recorded before, nothing is made, and c becomes the client
	// as it was made then; with another digest it is CodeKeyReused.
	AddClientOnce(ctx context.Context, c *messages.Client, key messages.Key) error
	// UpdateClients changes clients, all or none, and returns those it changed
	// as they are now, in no order; one that does not exist is left out. Each
	// patch is of another client. Two that change a client at the same time
	// take turns, so that neither undoes what the other changed. audit is
	// written in the same transaction.
	UpdateClients(ctx context.Context, patches []messages.ClientPatch, audit ...messages.Audit) ([]messages.Client, error)
	// DeleteClient removes a client who is not being called. A claim that is
	// committed at the same time either keeps it from happening or fails for
	// want of the client.
	DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error
	// EachClient calls f for all clients in the order of their ids, reading in
	// constant memory, until f fails or the clients end.
	EachClient(ctx context.Context, f func(messages.Client) error) error
}

// Logs reads call logs; they are written through the Journal.
type Logs interface {
	// ListLogs returns a page, newest first, each with its user and client
	// (nil where deleted), and how many match in all. An error of q.Room can be found
	// in what it returns.
	ListLogs(ctx context.Context, q messages.LogQuery) ([]messages.CallLog, int, error)
}

// Upkeep is what the process needs of its store besides the data.
type Upkeep interface {
	// Ping reports whether the store can be read and written now.
	Ping(ctx context.Context) error
	// AuditTrail returns the newest entries first, at most limit.
	AuditTrail(ctx context.Context, limit int) ([]messages.Audit, error)
	// Prune forgets what has passed its time: idempotency keys after 24 hours,
	// sessions that have ended. It removes at most limit rows of each and
	// returns how many it removed.
	Prune(ctx context.Context, limit int) (int, error)
	// Close waits for what is under way and lets go of the store. It can be
	// repeated.
	Close() error
}

// Store is all of it: what the stores implement and the conformance suite
// tests. Consumers declare the narrow part that they need.
type Store interface {
	Journal
	ClaimReader
	Outbox
	Reports
	People
	Tokens
	Clients
	Logs
	Upkeep
	Retention
}
