package postgres

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// FindClients implements [persistence.Clients]. The limit stands without an
// order: with one the plan could be to walk all clients by id.
func (s *Store) FindClients(ctx context.Context, ids []messages.ClientID, phones []string) ([]messages.Client, error) {
	rows, err := s.engine.Query(ctx, `
SELECT `+clientColumns+` FROM clients WHERE id IN (
	SELECT unnest($1::uuid[])
	UNION
	SELECT k.id FROM unnest($2::text[]) AS b (phone),
		LATERAL (SELECT c.id FROM clients c WHERE c.phone = b.phone LIMIT 2) AS k
)`, uuidsOf(ids, clientUUID), phones)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var found []messages.Client
	err = eachClient(rows, func(c messages.Client) error {
		found = append(found, c)
		return nil
	})
	return found, wrap(s.broken(err))
}

// UpdateClients implements [persistence.Clients]. The clients are locked in the
// order of their ids, which all such transactions have in common.
func (s *Store) UpdateClients(ctx context.Context, patches []messages.ClientPatch, audit ...messages.Audit) ([]messages.Client, error) {
	if len(patches) == 0 {
		return nil, nil
	}
	of := make(map[uuid.UUID]messages.ClientPatch, len(patches))
	for _, p := range patches {
		of[p.ID.UUID] = p
	}
	ids := uuidsOf(patches, func(p messages.ClientPatch) uuid.UUID { return p.ID.UUID })
	var changed []messages.Client
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		changed = nil
		patched, err := x.lockPatched(ctx, ids, of)
		if err != nil || len(patched) == 0 {
			return err
		}
		x.last.Queue(`
UPDATE clients k SET name = b.name, phone = b.phone, email = b.email, notes = b.notes, attributes = b.attributes::json,
                     updated_at = greatest(k.updated_at, statement_timestamp())
FROM `+unnestClients+`
WHERE k.id = b.id
RETURNING k.id, k.name, k.phone, k.email, k.notes, k.attributes::text, k.created_at, k.updated_at`, clientArrays(patched).args()...).
			Query(func(rows pgx.Rows) error {
				return eachClient(rows, func(c messages.Client) error {
					changed = append(changed, c)
					return nil
				})
			})
		queueAudit(&x.last, audit...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// lockPatched locks the clients and returns them as the patches leave them.
func (x *tx) lockPatched(ctx context.Context, ids uuids, of map[uuid.UUID]messages.ClientPatch) ([]messages.Client, error) {
	var patched []messages.Client
	b := x.batch()
	b.Queue(`SELECT `+clientColumns+` FROM clients WHERE id = ANY ($1) ORDER BY id FOR UPDATE`, ids).
		Query(func(rows pgx.Rows) error {
			return eachClient(rows, func(c messages.Client) error {
				c, err := persistence.Patched(c, of[c.ID.UUID])
				if err == nil {
					err = checkAttributes(&c)
				}
				patched = append(patched, c)
				return err
			})
		})
	return patched, x.send(ctx, stageApply, b, true)
}
