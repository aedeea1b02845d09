package guard

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ratios.json")
	run := func(record bool, ratios map[string]float64) error {
		t.Helper()
		g, err := Open(file, record)
		if err != nil {
			t.Fatal(err)
		}
		for name, ratio := range ratios {
			g.See(name, ratio)
		}
		return g.Close()
	}
	if err := run(true, map[string]float64{"a": 4, "b": 2}); err != nil {
		t.Fatal(err)
	}
	if err := run(false, map[string]float64{"a": 3, "b": 9, "new": 0.1}); err != nil {
		t.Errorf("a quarter less is within what runs differ by: %v", err)
	}
	err := run(false, map[string]float64{"a": 2, "b": 2})
	if err == nil || !strings.Contains(err.Error(), "a: 2.00, was 4.00") || strings.Contains(err.Error(), "b:") {
		t.Errorf("half of it: %v", err)
	}
}
