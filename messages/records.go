package messages

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Role says what somebody may do.
type Role string

const (
	RoleUser    Role = "user"    // acts for themselves
	RoleAdmin   Role = "admin"   // also for others: force release, clean-up, people
	RoleService Role = "service" // an API key: acts for the user that a request names
)

// User is a person who makes calls, as the wire shows them.
type User struct {
	ID        UserID `json:"id"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Email     string `json:"email"`
	Role      Role   `json:"role"`
}

// Name is how a refusal names the user: first and last name, or the e-mail
// address of somebody who has neither.
func (u User) Name() string { return DisplayName(u.FirstName, u.LastName, u.Email) }

// DisplayName joins a person's names; without any it is the e-mail address.
func DisplayName(first, last, email string) string {
	if name := strings.TrimSpace(first + " " + last); name != "" {
		return name
	}
	return email
}

// NewUser is a user to be made. PasswordHash may be empty: that person cannot
// sign in until one is set.
type NewUser struct {
	User
	PasswordHash string
}

// Account is a user with what signing in needs. It never goes on the wire.
type Account struct {
	User
	PasswordHash string // empty: cannot sign in
	Disabled     bool
	CreatedAt    time.Time
}

// UserStatus is one row of GET /api/user-status.
type UserStatus struct {
	User
	IsOnCall            bool           `json:"is_on_call"`
	CallStartedAt       *time.Time     `json:"call_started_at"`
	CurrentCallClientID *ClientID      `json:"current_call_client_id"`
	CurrentCallID       *CallID        `json:"current_call_id"`
	Client              *ClientSummary `json:"clients"`
}

// ClientSummary is how a status or a log shows a client.
type ClientSummary struct {
	ID    ClientID `json:"id"`
	Name  string   `json:"name"`
	Phone string   `json:"phone"`
	Email string   `json:"email"`
}

// UserSummary is how a log shows a user.
type UserSummary struct {
	ID        UserID `json:"id"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Email     string `json:"email"`
}

// Client is somebody who is called. Phone is E.164 where it could be
// understood, else as it was given.
type Client struct {
	ID         ClientID        `json:"id"`
	Name       string          `json:"name"`
	Phone      string          `json:"phone"`
	Email      string          `json:"email"`
	Notes      string          `json:"notes"`
	Attributes json.RawMessage `json:"attributes"` // a JSON object; never nil, {} when empty
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

// MaxAttributes is how large the attributes of a client may be, in bytes as JSON.
const MaxAttributes = 16 << 10

// ClientPatch changes some of a client's fields. What is nil stays as it is.
type ClientPatch struct {
	ID                        ClientID
	Name, Phone, Email, Notes *string
	// Attributes, a JSON object, replaces the client's, or, with Merge, its
	// keys replace and join the client's keys.
	Attributes json.RawMessage
	Merge      bool
}

// ClientQuery selects a page of clients. Search matches name, phone and
// e-mail without regard to case, and the digits of a phone number however it
// is spelled.
type ClientQuery struct {
	Search string
	Page   int  // from 1
	Limit  int  // rows a page, 1 to 1000
	Room   Room // nil: as much as it takes
}

// Room is asked before rows of that many bytes are held in memory, one by one, by
// whoever reads a page of them. An error ends the reading, and is what it comes to. It
// does not wait, and does not ask the store.
type Room func(bytes int) error

// rowBytes is what a row takes beside its texts.
const rowBytes = 256

// For asks for room for a client.
func (r Room) For(c *Client) error {
	if r == nil {
		return nil
	}
	return r(rowBytes + len(c.Name) + len(c.Phone) + len(c.Email) + len(c.Notes) + len(c.Attributes))
}

// ForLog asks for room for a log.
func (r Room) ForLog(l *CallLog) error {
	if r == nil {
		return nil
	}
	n := 2*rowBytes + len(l.Notes)
	if l.User != nil {
		n += len(l.User.FirstName) + len(l.User.LastName) + len(l.User.Email)
	}
	if l.Client != nil {
		n += len(l.Client.Name) + len(l.Client.Phone) + len(l.Client.Email)
	}
	return r(n)
}

// CallLog is what a user wrote down about a call.
type CallLog struct {
	ID                LogID          `json:"id"`
	ClientID          ClientID       `json:"client_id"`
	UserID            UserID         `json:"user_id"`
	CallID            *CallID        `json:"call_id"`       // the claim that saving it ended, if it did
	CallType          string         `json:"call_type"`     // outbound, inbound
	CallStatus        string         `json:"call_status"`   // completed, missed, declined, busy, no_answer
	CallDuration      *int           `json:"call_duration"` // seconds
	Notes             string         `json:"notes"`
	CallbackRequested bool           `json:"callback_requested"`
	CallbackTime      *time.Time     `json:"callback_time"`
	CallStartedAt     *time.Time     `json:"call_started_at"`
	CallEndedAt       *time.Time     `json:"call_ended_at"`
	CreatedAt         time.Time      `json:"created_at"`
	User              *UserSummary   `json:"users,omitempty"`
	Client            *ClientSummary `json:"clients,omitempty"`
}

// LogQuery selects a page of call logs, newest first. A zero field does not
// narrow.
type LogQuery struct {
	ClientID ClientID
	UserID   UserID
	Status   string
	Page     int  // from 1
	Limit    int  // rows a page, 1 to 1000
	Room     Room // nil: as much as it takes
}

// APIKey is a service's key as it is kept: never the key itself.
type APIKey struct {
	ID        uuid.UUID
	Name      string
	Role      Role
	RateLimit float64 // requests a second; 0: none
	CreatedAt time.Time
	RevokedAt *time.Time
}

// Principal is who is asking, as a token says. Exactly one of UserID (a
// session) and KeyID (an API key) is set.
type Principal struct {
	User      User // of a session; for an API key only Role and FirstName (its name)
	KeyID     uuid.UUID
	RateLimit float64   // requests a second; 0: none
	ExpiresAt time.Time // zero: never
}

// Caller names the principal in idempotency keys and on the audit trail:
// "user:<id>" or "key:<id>".
func (p Principal) Caller() string {
	if p.KeyID != uuid.Nil {
		return "key:" + p.KeyID.String()
	}
	return "user:" + p.User.ID.String()
}

// Audit is one entry of the audit trail: who did what to whom, and why.
type Audit struct {
	At      time.Time       `json:"at"`      // set by the store
	By      string          `json:"by"`      // Principal.Caller(), "cli:<user of the operating system>", or "system"
	Action  string          `json:"action"`  // e.g. call.force_released, user.disabled
	Subject string          `json:"subject"` // e.g. user:<id>
	Detail  json.RawMessage `json:"detail"`  // a JSON object; may be nil
}
