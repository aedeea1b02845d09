package integration

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/dibs-calls/dibs/integration/harness"
)

const (
	callersTrace  = "0af7651916cd43dd8448eb211c80319c"
	callersSpan   = "b7ad6b7169203331"
	callersParent = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// collector takes spans as OpenTelemetry's own does, over HTTP.
type collector struct {
	URL string

	mu       sync.Mutex
	requests int
	spans    []*tracepb.Span
	process  map[string]string
	raw      strings.Builder // all of what came
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Error(err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *collector) take(r *http.Request) error {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var in collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &in); err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	if r.URL.Path != "/v1/traces" {
		return fmt.Errorf("spans came to %s", r.URL.Path)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.raw.Write(raw)
	for _, of := range in.GetResourceSpans() {
		c.process = attributesOf(of.GetResource().GetAttributes())
		for _, in := range of.GetScopeSpans() {
			c.spans = append(c.spans, in.GetSpans()...)
		}
	}
	return nil
}

func attributesOf(all []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[kv.GetKey()] = fmt.Sprint(v.IntValue)
		}
	}
	return out
}

// named returns the spans of that name, of the caller's trace or of any other.
func (c *collector) named(name string, callers bool) []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*tracepb.Span
	for _, s := range c.spans {
		if s.GetName() == name && (fmt.Sprintf("%x", s.GetTraceId()) == callersTrace) == callers {
			found = append(found, s)
		}
	}
	return found
}

// put changes a call status within the caller's trace.
func put(t *testing.T, s *harness.Server, key, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/api/user-status", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + key, "traceparent": callersParent} {
		req.Header.Set(name, value)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", body, resp.StatusCode, err, answer)
	}
}

// traced is a server that was told by its environment what to do with spans, and the
// bodies of a start and an end of a call.
type traced struct {
	*harness.Server
	key, nats  string
	start, end string
	personal   []string // what no span may say
}

func serveTraced(t *testing.T, env ...string) *traced {
	t.Helper()
	d := onSQLite(t)
	connect := newDialer(t, d, 1, 1)
	d.Env = append(d.Env, env...)
	s := &traced{nats: harness.FreeAddr(t), key: serviceKey(t, d)}
	s.Server = d.Serve(t, "--nats-listen", s.nats)
	s.WaitReady(readyLimit)
	team := connect(s.Server)
	change := team.startOf(0, 0)
	s.start = fmt.Sprintf(`{"action":"start_call","user_id":%q,"client_id":%q}`, change.UserID, change.ClientID)
	s.end = fmt.Sprintf(`{"action":"end_call","user_id":%q,"notes":"zebedee"}`, change.UserID)
	s.personal = []string{s.key, "zebedee"}
	for _, u := range team.Statuses(t, false) {
		s.personal = append(s.personal, u.Email)
	}
	for _, c := range team.AllClients(t) {
		s.personal = append(s.personal, c.Name, c.Phone)
	}
	return s
}

// request sends body over NATS within the caller's trace.
func (s *traced) request(t *testing.T, subject, body string) {
	t.Helper()
	nc, _ := overNATS(t, s.nats)
	msg := nats.NewMsg(subject)
	msg.Data = []byte(body)
	msg.Header.Set("traceparent", callersParent)
	answer, err := nc.RequestMsg(msg, 20*time.Second)
	if err != nil || answer.Header.Get("Nats-Service-Error") != "" {
		t.Fatalf("%s: %v, %+v", subject, err, answer)
	}
}

// TestTraces: the spans of a start and an end come below the caller's own, while the
// server runs, or else when it is stopped.
func TestTraces(t *testing.T) {
	for _, tt := range []struct{ name, every string }{{"while it runs", "50"}, {"at a stop", "3600000"}} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCollector(t)
			s := serveTraced(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY="+tt.every,
				"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
			put(t, s.Server, s.key, s.start)
			put(t, s.Server, s.key, s.end)
			s.request(t, "dibs.rpc.start", s.start)
			all := func() bool {
				return len(c.named("PUT /api/user-status", true)) == 2 && len(c.named("process dibs.rpc.start", true)) == 1 && len(c.named("dibs commit", false)) >= 3
			}
			if tt.every == "50" {
				waitFor(t, 20*time.Second, "the spans", all)
			} else if all() {
				t.Error("they came before the stop, which this is about")
			}
			if code, took := s.Terminate(stopLimit); code != 0 {
				t.Errorf("exit code %d after %v", code, took)
			}
			if !all() {
				t.Fatalf("not all spans came: %v", c.spans)
			}
			c.check(t, s)
		})
	}
}

// check holds what came to what was asked of s.
func (c *collector) check(t *testing.T, s *traced) {
	t.Helper()
	requests := append(c.named("PUT /api/user-status", true), c.named("process dibs.rpc.start", true)...)
	commands := append(c.named("dibs start", true), c.named("dibs end", true)...)
	for i, action := range []string{"start", "end", "start"} {
		if parent := fmt.Sprintf("%x", requests[i].GetParentSpanId()); parent != callersSpan {
			t.Errorf("the request to %s is below %s", action, parent)
		}
		below := slices.DeleteFunc(slices.Clone(commands), func(c *tracepb.Span) bool {
			return string(c.GetParentSpanId()) != string(requests[i].GetSpanId())
		})
		if len(below) != 1 {
			t.Fatalf("below the request to %s: %v", action, below)
		}
		about := attributesOf(below[0].GetAttributes())
		if about["dibs.action"] != action || about["dibs.outcome"] != "ok" || !strings.Contains(s.start, about["dibs.user.id"]) ||
			!strings.Contains(s.start, about["dibs.client.id"]) || about["dibs.call.id"] == "" {
			t.Errorf("the command to %s says %v", action, about)
		}
	}
	about := attributesOf(requests[0].GetAttributes())
	if requests[0].GetKind() != tracepb.Span_SPAN_KIND_SERVER || about["http.route"] != "/api/user-status" || about["http.response.status_code"] != "200" {
		t.Errorf("a request says %v", about)
	}
	if about := attributesOf(c.named("dibs commit", false)[0].GetAttributes()); about["dibs.batch.size"] == "" || about["dibs.store"] != "sqlite" {
		t.Errorf("a batch says %v", about)
	}
	if c.process["service.name"] != "dibs" || c.process["deployment.environment.name"] != "test" {
		t.Errorf("the process is %v", c.process)
	}
	for _, what := range s.personal {
		if strings.Contains(c.raw.String(), what) {
			t.Errorf("the spans say %q", what)
		}
	}
}

// TestTracingSwitchedOff: that a collector is named is not enough then.
func TestTracingSwitchedOff(t *testing.T) {
	for _, off := range []string{"OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"} {
		t.Run(off, func(t *testing.T) {
			c := newCollector(t)
			s := serveTraced(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=10", off)
			put(t, s.Server, s.key, s.start)
			if code, _ := s.Terminate(stopLimit); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if c.requests > 0 {
				t.Errorf("%d requests came", c.requests)
			}
		})
	}
}

// TestCollectorOutOfOrder: a collector that is away, or takes requests and does not
// answer, delays neither requests nor the stop beyond what it is given, and is heard
// of in the log, not otherwise.
func TestCollectorOutOfOrder(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over.Done():
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { cancel(); hanging.Close() })
	for name, tt := range map[string]struct{ url, logged string }{
		"away":    {"http://" + harness.FreeAddr(t), "spans could not be sent"},
		"hanging": {hanging.URL, "the last spans could not be sent in time"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveTraced(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+tt.url, "OTEL_BSP_SCHEDULE_DELAY=10",
				"OTEL_BSP_MAX_QUEUE_SIZE=8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=4", "DIBS_SHUTDOWN_TIMEOUT=8s")
			begin := time.Now()
			for range 30 {
				put(t, s.Server, s.key, s.start)
				put(t, s.Server, s.key, s.end)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("60 requests took %s", took)
			}
			if code, took := s.Terminate(stopLimit); code != 0 || took > 8*time.Second {
				t.Errorf("exit code %d after %s", code, took)
			}
			if log := s.Stderr(); !strings.Contains(log, tt.logged) || strings.Count(log, "spans could not be sent") > 10 {
				t.Errorf("logged:\n%s", log)
			}
			for line := range strings.Lines(s.Stderr()) {
				if !strings.HasPrefix(line, "time=") {
					t.Errorf("on standard error, and not by the logger: %s", line)
				}
			}
		})
	}
}
