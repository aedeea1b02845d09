package main

import (
	"context"
	"fmt"

	"github.com/dibs-calls/dibs/importer"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// clientPlan is what becomes of the rows of one batch.
type clientPlan struct {
	fresh   []importer.ClientRow // to be added
	changed []clientChange
	known   int // there, and to be left alone
	bad     []*importer.BadLine
}

// clientChange is a row about a client who is there.
type clientChange struct {
	line  int
	patch messages.ClientPatch
}

// inStore is what the store has of the ids and numbers of a batch.
type inStore struct {
	byID    map[messages.ClientID]messages.Client
	byPhone map[string][]messages.Client // two if it is shared, however many do
}

func (im *clientImport) lookUp(ctx context.Context, rows []importer.ClientRow) (inStore, error) {
	there := inStore{make(map[messages.ClientID]messages.Client), make(map[string][]messages.Client)}
	if im.store == nil {
		return there, nil
	}
	var ids []messages.ClientID
	var phones []string
	for _, row := range rows {
		if row.Client.Phone != "" {
			phones = append(phones, row.Client.Phone)
		}
		if !row.Client.ID.IsZero() {
			ids = append(ids, row.Client.ID)
		}
	}
	found, err := im.store.FindClients(ctx, ids, phones)
	for _, c := range found {
		there.byID[c.ID] = c
		if c.Phone != "" {
			there.byPhone[c.Phone] = append(there.byPhone[c.Phone], c)
		}
	}
	return there, err
}

// plan decides about each row of a batch.
func (im *clientImport) plan(ctx context.Context, rows []importer.ClientRow) (p clientPlan, err error) {
	there, err := im.lookUp(ctx, rows)
	if err != nil {
		return p, err
	}
	taken := make(map[messages.ClientID]int) // the line on which a client came first
	for _, row := range rows {
		c, known, reason := there.clientOf(row)
		if !known {
			c.ID = row.Client.ID
		}
		if first := taken[c.ID]; first != 0 && reason == "" {
			known, reason = true, fmt.Sprintf("it is the client of line %d", first)
		}
		if !c.ID.IsZero() {
			taken[c.ID] = row.Line
		}
		switch {
		case known && !im.update:
			p.known++
		case reason != "":
			p.bad = append(p.bad, &importer.BadLine{Line: row.Line, Reason: reason})
		case known:
			p.change(row, c)
		default:
			p.fresh = append(p.fresh, row)
		}
	}
	return p, nil
}

// clientOf finds who a row is about: by the id, which dibs' own export has, or
// by the number. reason says why it cannot be told whom the row would change.
func (s inStore) clientOf(row importer.ClientRow) (c messages.Client, known bool, reason string) {
	sharing := s.byPhone[row.Client.Phone]
	if c, known = s.byID[row.Client.ID]; known {
		for _, other := range sharing {
			if other.ID != c.ID && c.Phone != row.Client.Phone {
				reason = fmt.Sprintf("%s is the number of another client", row.Client.Phone)
			}
		}
		return c, true, reason
	}
	switch len(sharing) {
	case 0:
		return c, false, ""
	case 1:
		return sharing[0], true, ""
	}
	return c, true, fmt.Sprintf("several clients have %s, so it does not say which one to update", row.Client.Phone)
}

// change plans an update of c, unless the row says nothing new.
func (p *clientPlan) change(row importer.ClientRow, c messages.Client) {
	patch := row.Changes(c.ID)
	if row.Client.ID == c.ID && row.Client.Phone != "" {
		patch.Phone = &row.Client.Phone
	}
	now, err := persistence.Patched(c, patch)
	switch {
	case err != nil:
		p.bad = append(p.bad, &importer.BadLine{Line: row.Line, Reason: sentence(err).Error()})
	case sameClient(now, c):
		p.known++
	default:
		p.changed = append(p.changed, clientChange{row.Line, patch})
	}
}

func sameClient(a, b messages.Client) bool {
	return a.Name == b.Name && a.Phone == b.Phone && a.Email == b.Email && a.Notes == b.Notes &&
		string(a.Attributes) == string(b.Attributes)
}

// eachOrAll gives items to the store, all at once, or, if it refuses them
// because of what is in one, each alone, so that one never keeps the others out.
// A row that is refused is named.
func eachOrAll[T any](r *report, items []T, line func(T) int, do func(items []T) error) error {
	if len(items) == 0 {
		return nil
	}
	err := do(items)
	if !isAboutContent(err) {
		return err
	}
	for i := range items {
		if len(items) > 1 {
			err = do(items[i : i+1])
		}
		if isAboutContent(err) {
			r.badLine(&importer.BadLine{Line: line(items[i]), Reason: "the store refuses it: " + err.Error()})
		} else if err != nil {
			return err
		}
	}
	return nil
}

// isAboutContent reports whether a store that is well refused what it was
// given.
func isAboutContent(err error) bool {
	switch messages.CodeOf(err) {
	case messages.CodeBadRequest, messages.CodeInternal:
		return err != nil
	}
	return false
}
