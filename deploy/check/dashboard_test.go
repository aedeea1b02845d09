package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type dashboard struct {
	UID, Title string
	Panels     []panel
	Templating struct {
		List []struct{ Name string }
	}
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ RefID, Expr string }
}

// TestDashboardAsksForWhatIsThere: each query of the dashboard parses and asks
// for metrics and labels that dibs exports, and no panel lies on another.
func TestDashboardAsksForWhatIsThere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(observability, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 20 || len(d.Templating.List) != 3 {
		t.Fatalf("%d panels, %d variables", len(d.Panels), len(d.Templating.List))
	}
	known := exported(t)
	// What Grafana puts in their place.
	filled := strings.NewReplacer("$__rate_interval", "1m", "$job", "dibs", "$instance", ".*")
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is another panel's", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %q or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%s: a %s with %d queries", p.Title, p.Type, len(p.Targets))
		}
		for _, target := range p.Targets {
			for _, complaint := range known.complaints(t, filled.Replace(target.Expr)) {
				t.Errorf("%s: %s", p.Title, complaint)
			}
		}
	}
}
