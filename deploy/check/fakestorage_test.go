package check

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// fakeSeries is a series in promtool's notation: 0+1x10 is 0, 1, 2 … 10.
type fakeSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

// fakeStorage answers queries from a few series that begin at time zero.
type fakeStorage struct {
	storage.LabelQuerier // nil: PromQL does not ask for it
	series               []promql.Series
}

func newFakeStorage(t *testing.T, input []fakeSeries, interval time.Duration) *fakeStorage {
	t.Helper()
	f := &fakeStorage{}
	for _, in := range input {
		name, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(in.Series + " " + in.Values)
		if err != nil {
			t.Fatalf("%s: %v", in.Series, err)
		}
		s := promql.Series{Metric: name}
		for i, v := range values {
			if !v.Omitted {
				s.Floats = append(s.Floats, promql.FPoint{T: int64(i) * interval.Milliseconds(), F: v.Value})
			}
		}
		f.series = append(f.series, s)
	}
	return f
}

// Querier implements [storage.Queryable].
func (f *fakeStorage) Querier(int64, int64) (storage.Querier, error) { return f, nil }

// Close implements [storage.Querier].
func (f *fakeStorage) Close() error { return nil }

// Select implements [storage.Querier].
func (f *fakeStorage) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &fakeSet{at: -1}
	for _, s := range f.series {
		matches := true
		for _, m := range matchers {
			matches = matches && m.Matches(s.Metric.Get(m.Name))
		}
		if matches {
			set.series = append(set.series, s)
		}
	}
	return set
}

// fakeSet implements [storage.SeriesSet].
type fakeSet struct {
	series []promql.Series
	at     int
}

func (s *fakeSet) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *fakeSet) At() storage.Series                { return promql.NewStorageSeries(s.series[s.at]) }
func (s *fakeSet) Err() error                        { return nil }
func (s *fakeSet) Warnings() annotations.Annotations { return nil }

// alerts returns what fires at a time: what expr has found at each evaluation for
// at least hold, without a break.
func (f *fakeStorage) alerts(t *testing.T, expr string, hold model.Duration, every, at time.Duration) []promql.Sample {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	since := map[uint64]time.Duration{}
	var fires []promql.Sample
	for now := time.Duration(0); now <= at; now += every {
		query, err := engine.NewInstantQuery(t.Context(), f, nil, expr, time.UnixMilli(now.Milliseconds()))
		if err != nil {
			t.Fatal(err)
		}
		found, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		fires = nil
		still := map[uint64]time.Duration{}
		for _, s := range found {
			key := s.Metric.Hash()
			still[key] = now
			if begin, was := since[key]; was {
				still[key] = begin
			}
			if now-still[key] >= time.Duration(hold) {
				fires = append(fires, s)
			}
		}
		since = still
		query.Close()
	}
	return fires
}

// A gap in the middle begins the wait anew.
func TestAlertsNeedToHold(t *testing.T) {
	f := newFakeStorage(t, []fakeSeries{{`a{b="c"}`, "1x8 0 1x8"}}, 15*time.Second)
	for at, want := range map[time.Duration]int{0: 0, 45 * time.Second: 0, time.Minute: 1, 2 * time.Minute: 1, 3 * time.Minute: 0, 4 * time.Minute: 1} {
		if got := f.alerts(t, "a == 1", model.Duration(time.Minute), 15*time.Second, at); len(got) != want {
			t.Errorf("after %s: %v, want %d", at, got, want)
		}
	}
}
