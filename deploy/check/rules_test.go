package check

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	observability = "../../docs/observability"
	runbook       = "../../docs/operations.md"
)

// alertRules are the rules of docs/observability/alerts.yaml, by name.
func alertRules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	path := filepath.Join(observability, "alerts.yaml")
	groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	rules := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if _, twice := rules[r.Alert]; twice || r.Alert == "" {
				t.Errorf("%s: a rule without a name of its own: %q", path, r.Alert)
			}
			rules[r.Alert] = r
		}
	}
	if len(rules) < 20 {
		t.Fatalf("only %d rules were found", len(rules))
	}
	return rules
}

// TestAlertsAskForWhatIsThere: each metric and each label that a rule names is
// one that the server exports.
func TestAlertsAskForWhatIsThere(t *testing.T) {
	known := exported(t)
	for name, r := range alertRules(t) {
		for _, complaint := range known.complaints(t, r.Expr) {
			t.Errorf("%s: %s", name, complaint)
		}
	}
}

// TestEachAlertHasARunbook: its link leads to a heading of docs/operations.md
// that is named like it, and no heading there is about an alert that is gone.
func TestEachAlertHasARunbook(t *testing.T) {
	text, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (Dibs[A-Za-z]+)\n+([^#]*)`).FindAllStringSubmatch(string(text), -1) {
		entries[m[1]] = m[2]
	}
	rules := alertRules(t)
	for name, r := range rules {
		entry, ok := entries[name]
		if !ok || len(strings.Fields(entry)) < 20 {
			t.Errorf("%s says nothing, or little, about %s: %q", runbook, name, entry)
		}
		if url := r.Annotations["runbook_url"]; !strings.HasSuffix(url, "/docs/operations.md#"+strings.ToLower(name)) {
			t.Errorf("%s: the link to its runbook is %q", name, url)
		}
		if r.Labels["severity"] != "critical" && r.Labels["severity"] != "warning" {
			t.Errorf("%s: severity %q", name, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" {
			t.Errorf("%s: no summary", name)
		}
	}
	for name := range entries {
		if _, ok := rules[name]; !ok {
			t.Errorf("%s is about %s, and there is no such alert", runbook, name)
		}
	}
}
