package messages

import "time"

// Call is a call in progress: a claim that was committed.
type Call struct {
	ID        CallID    `json:"id"`
	ClientID  ClientID  `json:"client_id"`
	UserID    UserID    `json:"user_id"`
	StartedAt time.Time `json:"started_at"` // by the store's clock
	// LeaseExpiresAt is when the call ends by itself unless it is renewed, by
	// the store's clock. The store never holds an earlier time than was
	// answered.
	LeaseExpiresAt time.Time `json:"lease_expires_at"`
	// Token is the fencing token: for one client it strictly increases (I6).
	Token int64 `json:"token"`
}

// IsZero reports whether there is no call.
func (c Call) IsZero() bool { return c.ID.IsZero() }

// Caller is the holder of a client, as a refusal shows them.
type Caller struct {
	ID            UserID    `json:"id"`
	Name          string    `json:"name"`
	CallStartedAt time.Time `json:"call_started_at"`
}

// EndReason says why a call ended. A call ends once, with one reason (I5).
type EndReason string

const (
	ReasonCompleted     EndReason = "completed"      // by its user
	ReasonLogSaved      EndReason = "log_saved"      // by saving its log
	ReasonForceReleased EndReason = "force_released" // by an admin
	ReasonExpired       EndReason = "expired"        // by its lease
	ReasonSuperseded    EndReason = "superseded"     // by what a telephony service reported
)

// Leases.
const (
	DefaultLease = 2 * time.Hour
	MinLease     = time.Second
	MaxLease     = 24 * time.Hour
)

// Key is an idempotency key: Value as Caller sent it, and a digest of the
// request that it stands for. The same key with another digest is refused.
type Key struct {
	Caller string
	Value  string // at most 255 bytes
	Digest [32]byte
}

// Commands. Every one enters at the actor of its User. Deadline, where set,
// is when its caller stops waiting: a command that was not begun by then is
// dropped without effect.

// StartCall claims Client for User.
type StartCall struct {
	User     UserID
	Client   ClientID
	Call     CallID        // the id that the call will have; chosen by the caller, fresh
	Lease    time.Duration // zero: DefaultLease
	Key      *Key
	Deadline time.Time
}

// EndCall ends the call that User is on. Ending when there is none, or when
// another call than Call is in progress, changes nothing and is no error, so
// that a retry is harmless.
type EndCall struct {
	User        UserID
	Call        CallID // zero: whichever is in progress
	Token       int64  // zero: any; else must be the call's
	Reason      EndReason
	Disposition string
	Notes       string
	Audit       *Audit // written in the same transaction, if a call was ended
	Key         *Key
	Deadline    time.Time
}

// SaveLog saves a call log. If User is on a call with the log's client, that
// call ends in the same transaction (ReasonLogSaved); else only the log is
// saved.
type SaveLog struct {
	User     UserID
	Log      CallLog // ID set by the caller, fresh; UserID is User
	Key      *Key
	Deadline time.Time
}

// RenewCall moves the end of a call's lease to Lease from now. It never
// brings a call back that is over.
type RenewCall struct {
	User     UserID
	Call     CallID
	Token    int64         // zero: any
	Lease    time.Duration // zero: as long as the call's lease was asked for
	Key      *Key
	Deadline time.Time
}

// ExpireCall ends a call whose lease has run out. The store has the last word
// on whether it has: a renewal may have come in between.
type ExpireCall struct {
	User  UserID
	Call  CallID
	Token int64
}

// Answer is the reply to any command. Code [OK] means that it was carried out
// and is on stable storage (I3).
type Answer struct {
	Code Code `json:"code,omitempty"`
	// Call is the user's call in progress after the command: the one started
	// or renewed, the one that stands in the way (CodeUserOnCall), or the one
	// that an end left alone because it named another.
	Call *Call `json:"call,omitempty"`
	// Ended is the call that this command ended.
	Ended *Call `json:"ended,omitempty"`
	// Caller is the holder of the client (CodeClientBeingCalled).
	Caller *Caller `json:"caller,omitempty"`
	// Log is the log that was saved.
	Log *CallLog `json:"log,omitempty"`
	// Client is the client that was made.
	Client *Client `json:"client,omitempty"`
	// Repeated says that a report had taken its effect before.
	Repeated bool `json:"-"`
}

// Availability says whether a client can be called now, from the claim itself.
type Availability struct {
	Code   Code
	Caller *Caller // nil: available
}
