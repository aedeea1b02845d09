package client

import "time"

// Call is a call in progress.
type Call struct {
	ID             string    `json:"id"`
	ClientID       string    `json:"client_id"`
	UserID         string    `json:"user_id"`
	StartedAt      time.Time `json:"started_at"`       // by the server's clock
	LeaseExpiresAt time.Time `json:"lease_expires_at"` // by the server's clock
	// Token is the fencing token: it rises with each call of a client. Whoever
	// is told to act on the client by two programs obeys the higher one.
	Token int64 `json:"token"`
}

// Caller is who is calling a client.
type Caller struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	CallStartedAt time.Time `json:"call_started_at"`
}

// Availability says whether a client can be called now.
type Availability struct {
	Available bool    `json:"available"`
	Caller    *Caller `json:"caller"` // nil: nobody is calling
}

// Outcome is how a call came out. Both fields may be empty.
type Outcome struct {
	Disposition string // at most 200 bytes
	Notes       string // at most 16 KiB
}

// User is a person who makes calls.
type User struct {
	ID        string `json:"id"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Email     string `json:"email"`
	Role      string `json:"role"`
}

// Contact is somebody who is called: what the API calls a client.
type Contact struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Phone string `json:"phone"`
	Email string `json:"email"`
}
