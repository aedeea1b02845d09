package persistence

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// eventRow is an event as a statement of a store puts it into the outbox itself:
// a row of a call and who is in it. A row of the outbox is then a JSON array of
// them, which is told from any other by its first byte.
type eventRow struct {
	CallID         messages.CallID    `json:"call_id"`
	UserID         messages.UserID    `json:"user_id"`
	ClientID       messages.ClientID  `json:"client_id"`
	Token          int64              `json:"token"`
	StartedAt      time.Time          `json:"started_at"`
	LeaseExpiresAt time.Time          `json:"lease_expires_at"`
	EndedAt        *time.Time         `json:"ended_at"` // nil: the call was started
	Reason         messages.EndReason `json:"reason"`
	Disposition    string             `json:"disposition"`
	FirstName      string             `json:"first_name"`
	LastName       string             `json:"last_name"`
	Email          string             `json:"email"`
	Role           messages.Role      `json:"role"`
	ClientName     string             `json:"name"`
	ClientPhone    string             `json:"phone"`
	ClientEmail    string             `json:"client_email"`
}

func isEventRows(row []byte) bool { return len(row) > 0 && row[0] == '[' }

func decodeEventRows(row []byte) (events []messages.Event, unreadable error) {
	var rows []json.RawMessage
	if err := json.Unmarshal(row, &rows); err != nil {
		return nil, err
	}
	events = make([]messages.Event, 0, len(rows))
	for i := range rows {
		var r eventRow
		err := json.Unmarshal(rows[i], &r)
		if err == nil && (r.CallID.IsZero() || r.StartedAt.IsZero()) {
			err = errors.New("no event")
		}
		if err == nil {
			events = append(events, r.event())
		} else if unreadable == nil {
			unreadable = fmt.Errorf("row %d: %w", i, err)
		}
	}
	return events, unreadable
}

func (r *eventRow) event() messages.Event {
	l := messages.LiveCall{
		Call: messages.Call{
			ID: r.CallID, UserID: r.UserID, ClientID: r.ClientID, Token: r.Token,
			StartedAt: r.StartedAt.UTC(), LeaseExpiresAt: r.LeaseExpiresAt.UTC(),
		},
		User:   messages.User{ID: r.UserID, FirstName: r.FirstName, LastName: r.LastName, Email: r.Email, Role: r.Role},
		Client: messages.ClientSummary{ID: r.ClientID, Name: r.ClientName, Phone: r.ClientPhone, Email: r.ClientEmail},
	}
	if r.EndedAt == nil {
		return *StartedEvent(l)
	}
	return *EndedEvent(l, r.EndedAt.UTC(), &messages.Write{Reason: r.Reason, Disposition: r.Disposition})
}
