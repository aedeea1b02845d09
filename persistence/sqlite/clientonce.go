package sqlite

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// AddClientOnce implements [persistence.Clients].
func (s *Store) AddClientOnce(ctx context.Context, c *messages.Client, key messages.Key) error {
	attributes, err := checkClient(*c)
	if err != nil {
		return err
	}
	made := *c
	made.Attributes = []byte(attributes)
	if made.ID.IsZero() {
		made.ID.UUID = uuid.New()
	}
	row := clientRow{made.ID, made.Name, made.Phone, made.Email, made.Notes, attributes, searchText(made)}
	var result messages.Client
	err = s.write(ctx, func(x *tx) error {
		first, err := x.replay(key)
		switch {
		case err != nil:
			return err
		case first.Kind == messages.OutcomeReplayed && first.Replay.Client != nil:
			result = *first.Replay.Client
			return nil
		case first.Kind != 0:
			return &messages.Error{Code: messages.CodeKeyReused}
		}
		result = made
		result.CreatedAt, result.UpdatedAt = timeOf(x.now), timeOf(x.now)
		if err := x.addClients([]clientRow{row}); err != nil {
			return err
		}
		return x.record(key, messages.Answer{Client: &result})
	})
	if err == nil {
		*c = result
	}
	return err
}
