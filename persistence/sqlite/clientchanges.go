package sqlite

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// FindClients implements [persistence.Clients].
func (s *Store) FindClients(ctx context.Context, ids []messages.ClientID, phones []string) ([]messages.Client, error) {
	if err := checkText(phones...); err != nil {
		return nil, err
	}
	return s.clients(ctx, selectClients+`where id in (
		select value from json_each(?1)
		union
		select id from (
			select id, row_number() over (partition by phone) as place from clients
			where phone in (select value from json_each(?2))
		) where place <= 2)`,
		list(ids), list(phones))
}

// UpdateClients implements [persistence.Clients]. Nobody else writes meanwhile.
func (s *Store) UpdateClients(ctx context.Context, patches []messages.ClientPatch, audit ...messages.Audit) ([]messages.Client, error) {
	if len(patches) == 0 {
		return nil, nil
	}
	var changed []messages.Client
	err := s.write(ctx, func(x *tx) error {
		changed = nil
		for _, p := range patches {
			c, found, err := x.patchClient(p)
			if err != nil {
				return err
			}
			if found {
				changed = append(changed, c)
			}
		}
		if len(changed) == 0 {
			return nil
		}
		return x.auditAll(audit)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

func (x *tx) patchClient(p messages.ClientPatch) (c messages.Client, found bool, err error) {
	c, err = scanClient(func(dest ...any) (err error) {
		found, err = x.get(selectClients+`where id = ?1`, []any{p.ID}, dest...)
		return err
	})
	if err != nil || !found {
		return c, false, err
	}
	if c, err = persistence.Patched(c, p); err != nil {
		return c, true, err
	}
	attributes, err := checkClient(c)
	if err != nil {
		return c, true, err
	}
	c, err = scanClient(func(dest ...any) error {
		_, err := x.get(`
			update clients
			set name = ?2, phone = ?3, email = ?4, notes = ?5, attributes = ?6, search = ?7,
				updated_at = max(?8, updated_at + 1) -- the clock may be set back
			where id = ?1
			returning id, name, phone, email, notes, attributes, created_at, updated_at`,
			[]any{c.ID, c.Name, c.Phone, c.Email, c.Notes, attributes, searchText(c), x.now}, dest...)
		return err
	})
	return c, true, err
}
