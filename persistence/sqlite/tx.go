package sqlite

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// tx is a transaction that writes, as its body sees it. Only the goroutine
// that runs the body uses it.
type tx struct {
	*writer
	now int64 // by the store's clock, the same for all of the transaction
}

// write carries out body in one durable transaction. Its error carries a code,
// see [persistence.Committer].
func (s *Store) write(ctx context.Context, body func(*tx) error) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.committer.Run(ctx, func() persistence.Attempt { return &attempt{store: s, body: body} })
}

// attempt implements [persistence.Attempt].
type attempt struct {
	store *Store
	body  func(*tx) error
	taken bool // the writer's slot
	begun bool // a transaction that may be open
	batch int64
}

func (a *attempt) Apply(ctx context.Context) error {
	w := a.store.writer
	if err := w.take(ctx); err != nil {
		return wrap(err)
	}
	a.taken = true
	if err := w.begin(ctx); err != nil {
		return wrap(err)
	}
	a.begun = true
	x := &tx{writer: w, now: a.store.clock()}
	if err := a.body(x); err != nil {
		return wrap(err)
	}
	if err := w.failAt(stageBody); err != nil {
		return wrap(err)
	}
	w.batch++
	a.batch = w.batch
	return wrap(x.mark())
}

// mark leaves the trace by which the transaction is known again.
func (x *tx) mark() error {
	_, err := x.exec(`
		insert into writers (id, batch, at) values (?1, ?2, ?3)
		on conflict (id) do update set batch = excluded.batch, at = excluded.at`,
		x.id, x.batch, x.now)
	return err
}

func (a *attempt) Commit(context.Context) error {
	if err := a.store.writer.commit(); err != nil {
		return err
	}
	a.begun = false
	return nil
}

// Resolve looks for the mark of the transaction and seals what it finds with a
// transaction of its own.
func (a *attempt) Resolve(ctx context.Context) persistence.Fate {
	w := a.store.writer
	w.unsettled.Store(true)
	w.rollback()
	a.begun = false
	for {
		applied, err := a.sealed(ctx)
		switch {
		case err == nil && applied:
			return persistence.FateApplied
		case err == nil:
			return persistence.FateNotApplied
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			a.store.log.Error("the outcome of a transaction is unknown", "cause", err)
			return persistence.FateUnknown
		}
	}
}

func (a *attempt) sealed(ctx context.Context) (applied bool, err error) {
	w := a.store.writer
	if err := w.failAt(stageResolve); err != nil {
		return false, err
	}
	if err := w.begin(ctx); err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			w.rollback()
		}
	}()
	var last int64
	if _, err := w.get(`select batch from writers where id = ?1`, []any{w.id}, &last); err != nil {
		return false, err
	}
	w.batch++
	if err := (&tx{writer: w, now: a.store.clock()}).mark(); err != nil {
		return false, err
	}
	return last == a.batch, w.commit()
}

func (a *attempt) Rollback() {
	if !a.taken {
		return
	}
	if a.begun {
		a.store.writer.rollback()
	}
	a.store.writer.give()
}

// settle makes sure that no transaction is left whose outcome could not be
// told: afterwards what is read is all there is.
func (s *Store) settle(ctx context.Context) error {
	if !s.writer.unsettled.Load() {
		return nil
	}
	if err := s.write(ctx, func(*tx) error { return nil }); err != nil {
		return &messages.Error{Code: messages.CodeUnavailable, Cause: err}
	}
	return nil
}
