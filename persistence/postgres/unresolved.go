package postgres

import (
	"context"
	"errors"
	"sync"

	"github.com/dibs-calls/dibs/messages"
)

// unresolved are the ids of transactions that may still be in progress on the
// server although nobody waits for them any more.
type unresolved struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

func (u *unresolved) add(xid string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = make(map[string]struct{})
	}
	u.ids[xid] = struct{}{}
}

func (u *unresolved) remove(xid string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.ids, xid)
}

func (u *unresolved) list() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var ids []string
	for id := range u.ids {
		ids = append(ids, id)
	}
	return ids
}

// settled makes sure that no transaction whose outcome is unknown is still in
// progress, so that what is read next cannot be changed by one afterwards.
func (s *Store) settled(ctx context.Context) error {
	for _, xid := range s.pending.list() {
		status, err := s.xactStatus(ctx, xid)
		if err != nil {
			return wrap(s.broken(err))
		}
		if status == xactInProgress {
			return &messages.Error{
				Code:  messages.CodeUnavailable,
				Cause: errors.New("transaction " + xid + " is not over yet"),
			}
		}
		s.pending.remove(xid)
	}
	return nil
}
