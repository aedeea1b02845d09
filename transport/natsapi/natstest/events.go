package natstest

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

// ID is the n-th id of a kind; the same every time.
func ID(kind byte, n int) uuid.UUID {
	var id uuid.UUID
	id[0] = kind
	id[6], id[8] = 0x40, 0x80 // version 4, as all ids
	binary.BigEndian.PutUint32(id[12:], uint32(n))
	return id
}

// Started is the event of the n-th call of a client's, the user being the
// client's own.
func Started(client, n int) messages.Event {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8900, time.UTC).Add(time.Duration(2*n) * time.Minute)
	call := messages.Call{
		ID:       messages.CallID{UUID: ID(0xca, client<<16|n)},
		ClientID: messages.ClientID{UUID: ID(0xc1, client)}, UserID: messages.UserID{UUID: ID(0x05, client)},
		StartedAt: at, LeaseExpiresAt: at.Add(messages.DefaultLease), Token: int64(n + 1),
	}
	return messages.Event{
		ID: messages.EventID(call.ID, messages.EventCallStarted), Type: messages.EventCallStarted, At: at, Call: call,
		User: messages.User{
			ID: call.UserID, FirstName: "Ana", LastName: fmt.Sprint("Ruiz ", client),
			Email: fmt.Sprintf("ana%d@example.com", client), Role: messages.RoleUser,
		},
		Client: messages.ClientSummary{ID: call.ClientID, Name: fmt.Sprint("Client ", client), Phone: "+15550100", Email: "client@example.com"},
	}
}

// Ended is the event of the end of that call.
func Ended(client, n int) messages.Event {
	e := Started(client, n)
	e.ID, e.Type = messages.EventID(e.Call.ID, messages.EventCallEnded), messages.EventCallEnded
	e.At = e.At.Add(time.Minute)
	e.Reason, e.Disposition = messages.ReasonCompleted, "interested"
	return e
}
