package main

import (
	"errors"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence"
)

// TestMustMigrate: a new store is made by whoever needs it, one in use is
// changed by the server alone.
func TestMustMigrate(t *testing.T) {
	at := time.Now()
	done, pending := persistence.Migration{Version: 1, AppliedAt: &at}, persistence.Migration{Version: 2}
	for name, tt := range map[string]struct {
		steps   []persistence.Migration
		cfg     storeConfig
		want    bool
		code    int
		noStore bool
	}{
		"no file, to be made":        {cfg: storeConfig{Make: true}, want: true},
		"no file, to be read":        {code: exitFailed, noStore: true},
		"empty, to be made":          {steps: []persistence.Migration{pending}, cfg: storeConfig{Make: true}, want: true},
		"empty, to be read":          {steps: []persistence.Migration{pending}, code: exitFailed, noStore: true},
		"up to date":                 {steps: []persistence.Migration{done}},
		"up to date, for the server": {steps: []persistence.Migration{done}, cfg: storeConfig{Make: true, Upgrade: true}},
		"behind":                     {steps: []persistence.Migration{done, pending}, cfg: storeConfig{Make: true}, code: exitUnavailable},
		"behind, for the server":     {steps: []persistence.Migration{done, pending}, cfg: storeConfig{Make: true, Upgrade: true}, want: true},
	} {
		got, err := mustMigrate(tt.steps, tt.cfg)
		if got != tt.want || exitCode(err) != tt.code || errors.Is(err, errNoStore) != tt.noStore {
			t.Errorf("%s: got %v, %v (exit code %d)", name, got, err, exitCode(err))
		}
	}
}
