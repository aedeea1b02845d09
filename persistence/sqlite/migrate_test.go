package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dibs-calls/dibs/persistence"
)

func pending(steps []persistence.Migration) int {
	n := 0
	for _, m := range steps {
		if m.AppliedAt == nil {
			n++
		}
	}
	return n
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dibs.db")
	steps, err := MigrationStatus(t.Context(), path)
	if err != nil || len(steps) == 0 || pending(steps) != len(steps) {
		t.Fatalf("status of no file: %+v (%v)", steps, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("asking for the status made the file: %v", err)
	}
	if _, err := Open(t.Context(), Config{Path: path}); err == nil || !strings.Contains(err.Error(), "dibs migrate up") {
		t.Fatalf("opened a store that was not migrated: %v", err)
	}
	applied, err := Migrate(t.Context(), path)
	if err != nil || len(applied) != len(steps) || pending(applied) != 0 {
		t.Fatalf("applied %+v (%v)", applied, err)
	}
	if applied[0].Version != 1 || applied[0].Name != "00001_initial.sql" {
		t.Fatalf("first step: %+v", applied[0])
	}
	if again, err := Migrate(t.Context(), path); err != nil || len(again) != 0 {
		t.Fatalf("applied again: %+v (%v)", again, err)
	}
	if steps, err = MigrationStatus(t.Context(), path); err != nil || pending(steps) != 0 {
		t.Fatalf("status: %+v (%v)", steps, err)
	}
}

// TestMigrateAtOnce: of many that migrate one file each step is applied by one.
func TestMigrateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dibs.db")
	const n = 4
	var wg sync.WaitGroup
	var applied [n]int
	for i := range n {
		wg.Go(func() {
			steps, err := Migrate(t.Context(), path)
			if err != nil {
				t.Error(err)
			}
			applied[i] = len(steps)
		})
	}
	wg.Wait()
	sum := 0
	for _, k := range applied {
		sum += k
	}
	steps, err := MigrationStatus(t.Context(), path)
	if err != nil || sum != len(steps) {
		t.Fatalf("%v steps were applied, there are %d (%v)", applied, len(steps), err)
	}
}
