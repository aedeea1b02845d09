package check

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
	"sigs.k8s.io/yaml"
)

// alertTests is what of promtool's format for tests of rules is used
// (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/),
// so that "promtool test rules" can read the file as well. promtool itself is
// not used: it brings every service discovery that Prometheus knows.
type alertTests struct {
	RuleFiles          []string    `json:"rule_files"`
	EvaluationInterval string      `json:"evaluation_interval"`
	Tests              []alertTest `json:"tests"`
}

type alertTest struct {
	Name        string       `json:"name"`
	Interval    string       `json:"interval"`
	InputSeries []fakeSeries `json:"input_series"`
	AlertTests  []struct {
		EvalTime  string `json:"eval_time"`
		Alertname string `json:"alertname"`
		ExpAlerts []struct {
			ExpLabels      map[string]string `json:"exp_labels"`
			ExpAnnotations map[string]string `json:"exp_annotations"`
		} `json:"exp_alerts"`
	} `json:"alert_rule_test"`
}

// TestAlertsFireWhenTheyShould runs alerts_test.yaml: each alert fires where the
// file says so, with the words that it says, and is quiet where it says that. An
// alert that is not tried both ways fails the test.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(observability, "alerts_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file alertTests
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		t.Fatal(err)
	}
	rules := alertRules(t)
	fired, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		t.Run(test.Name, func(t *testing.T) {
			storage := newFakeStorage(t, test.InputSeries, duration(t, test.Interval))
			for _, c := range test.AlertTests {
				var want []string
				for _, a := range c.ExpAlerts {
					want = append(want, alertText(a.ExpLabels, a.ExpAnnotations))
				}
				got := storage.alerts(t, rules[c.Alertname].Expr, rules[c.Alertname].For, duration(t, file.EvaluationInterval), duration(t, c.EvalTime))
				var texts []string
				for _, sample := range got {
					texts = append(texts, alertText(rendered(t, rules[c.Alertname].Labels, rules[c.Alertname].Annotations, sample)))
				}
				slices.Sort(want)
				slices.Sort(texts)
				if !slices.Equal(texts, want) {
					t.Errorf("%s after %s:\n\t%s\nwant\n\t%s", c.Alertname, c.EvalTime, strings.Join(texts, "\n\t"), strings.Join(want, "\n\t"))
				}
				fired[c.Alertname] = fired[c.Alertname] || len(want) > 0
				quiet[c.Alertname] = quiet[c.Alertname] || len(want) == 0
			}
		})
	}
	for name := range rules {
		if !fired[name] || !quiet[name] {
			t.Errorf("%s is not tried both ways: fires %v, is quiet %v", name, fired[name], quiet[name])
		}
	}
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := model.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(d)
}

func alertText(labels, annotations map[string]string) string {
	parts := []string{}
	for _, m := range []map[string]string{labels, annotations} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, fmt.Sprintf("%s=%q", k, m[k]))
		}
	}
	return strings.Join(parts, " ")
}

// rendered is what an alert says: the labels of its series and those of its rule,
// and its annotations, filled in.
func rendered(t *testing.T, ruleLabels, ruleAnnotations map[string]string, s promql.Sample) (all, annotations map[string]string) {
	t.Helper()
	all, annotations = s.Metric.Map(), map[string]string{}
	delete(all, labels.MetricName)
	data := template.AlertTemplateData(maps.Clone(all), nil, "", s)
	maps.Copy(all, ruleLabels)
	for name, text := range ruleAnnotations {
		const variables = "{{$labels := .Labels}}{{$value := .Value}}"
		filled, err := template.NewTemplateExpander(t.Context(), variables+text, name, data, model.Time(s.T), nil, nil, nil).Expand()
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		annotations[name] = filled
	}
	return all, annotations
}
