// Package schema is what the stores' migrations have in common: it runs those
// of a provider and tells them as [persistence.Migration]. Which files, which
// database and which lock keeps two processes from migrating at once is each
// store's own.
package schema

import (
	"context"
	"path"

	"github.com/dibs-calls/dibs/persistence"
	"github.com/pressly/goose/v3"
)

// Up applies the pending migrations and returns them.
func Up(ctx context.Context, p *goose.Provider) ([]persistence.Migration, error) {
	results, err := p.Up(ctx)
	if err != nil {
		return nil, err
	}
	fresh := make(map[int64]bool, len(results))
	for _, r := range results {
		fresh[r.Source.Version] = true
	}
	all, err := Status(ctx, p) // the results do not say when
	var applied []persistence.Migration
	for _, m := range all {
		if fresh[m.Version] {
			applied = append(applied, m)
		}
	}
	return applied, err
}

// Status returns all migrations in order, the pending ones too.
func Status(ctx context.Context, p *goose.Provider) ([]persistence.Migration, error) {
	steps, err := p.Status(ctx)
	var all []persistence.Migration
	for _, s := range steps {
		m := persistence.Migration{Version: s.Source.Version, Name: path.Base(s.Source.Path)}
		if s.State == goose.StateApplied {
			at := s.AppliedAt.UTC()
			m.AppliedAt = &at
		}
		all = append(all, m)
	}
	return all, err
}
