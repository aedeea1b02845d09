package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestOperationsCommands runs what docs/operations.md has to look at a server
// with and to replace a key, and looks at what comes out.
func TestOperationsCommands(t *testing.T) {
	d := onPostgres(t)
	connect := newDialer(t, d, 2, 2)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team := connect(s)
	env := []string{"DIBS=" + s.URL, "DIBS_DATA=" + d.Store.DataDir, "DIBS_DATABASE_URL=" + d.Store.DatabaseURL}
	dir := t.TempDir()

	for _, want := range []string{`"ok"`, `"ready"`, "occupation", "api_key.created"} {
		if out := runOperation(t, "is-it-well", dir, env...); !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if out := runOperation(t, "postgres-settings", dir, env...); !strings.Contains(out, "synchronous_commit|on\n") {
		t.Errorf("the settings are\n%s", out)
	}
	if out := runOperation(t, "dead-letters", dir, env...); !strings.Contains(out, "NUMBER") {
		t.Errorf("the dead letters are\n%s", out)
	}

	keys := d.MustRun(t, "token", "list")
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(keys)
	if out := runOperation(t, "rotate-a-key", dir, append(env, "OLD_KEY_ID="+id)...); !strings.Contains(out, "dialer-2") {
		t.Errorf("the keys are\n%s", out)
	}
	waitFor(t, readyLimit, "the old key to be refused", func() bool {
		r, err := team.Do(t.Context(), http.MethodGet, "/api/user-status", nil)
		return err == nil && r.Status == http.StatusUnauthorized
	})
}

// TestMetricsAreDocumented holds docs/observability/metrics.md to what servers
// export, name, type, labels and meaning, in both directions. The alerts and the
// dashboard are held to that document by deploy/check.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "observability", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|.*$").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[0]
	}
	exported := map[string]string{}
	for _, scrape := range []string{busyServer(t), nodeOfACluster(t)} {
		for name, row := range metricRows(scrape) {
			exported[name] = row
		}
	}
	for name, row := range exported {
		if strings.HasPrefix(name, "dibs_") && documented[name] != row {
			t.Errorf("the row of %s is\n%s\nwant\n%s", name, documented[name], row)
		}
	}
	for name := range documented {
		if exported[name] == "" {
			t.Errorf("%s is documented, and no server exports it", name)
		}
	}
}

// busyServer is what a server tells Prometheus that has done some of everything.
func busyServer(t *testing.T) string {
	t.Helper()
	d := onSQLite(t)
	connect := newDialer(t, d, 1, 1)
	listen := harness.FreeAddr(t)
	s := d.Serve(t, "--nats-listen", listen)
	s.WaitReady(readyLimit)
	team := connect(s)
	harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
	_, over := overNATS(t, listen)
	if _, err := over.Availability(t.Context(), team.clients[0].String()); err != nil {
		t.Fatal(err)
	}
	var scrape string
	waitFor(t, readyLimit, "its event to be published", func() bool {
		scrape = scrapeOf(t, s)
		return strings.Contains(scrape, "dibs_events_published_total{") &&
			strings.Contains(scrape, "dibs_rpc_request_duration_seconds_count{") // counted behind the answer
	})
	return scrape
}

// nodeOfACluster is what one of two nodes tells.
func nodeOfACluster(t *testing.T) string {
	t.Helper()
	d := onPostgres(t)
	d.MustRun(t, "migrate", "up")
	a, b := harness.FreeAddr(t), harness.FreeAddr(t)
	node := func(name, at string) *harness.Server {
		d.Store.DataDir = t.TempDir()
		return d.Serve(t, "--cluster", "--node-name", name, "--cluster-listen", at, "--cluster-peers", a+","+b)
	}
	one, two := node("a", a), node("b", b)
	one.WaitReady(time.Minute)
	two.WaitReady(time.Minute)
	return scrapeOf(t, one)
}

// metricRows are the rows of the document that describe a scrape.
func metricRows(scrape string) map[string]string {
	types, labels, help := map[string]string{}, map[string][]string{}, map[string]string{}
	for line := range strings.Lines(scrape) {
		if f := strings.SplitN(strings.TrimSpace(line), " ", 4); f[0] == "#" {
			switch f[1] {
			case "TYPE":
				types[f[2]] = f[3]
			case "HELP":
				help[f[2]] = f[3]
			}
			continue
		}
		m := regexp.MustCompile(`^([a-z_]+)\{(.*)\} `).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		of := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m[1], "_bucket"), "_count"), "_sum")
		if types[m[1]] != "" {
			of = m[1]
		}
		labels[of] = nil
		for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				labels[of] = append(labels[of], "`"+l[1]+"`")
			}
		}
	}
	rows := map[string]string{}
	for name, kind := range types {
		rows[name] = "| `" + name + "` | " + kind + " | " + strings.Join(labels[name], ", ") + " | " + strings.TrimSpace(help[name]) + " |"
	}
	return rows
}

func scrapeOf(t *testing.T, s *harness.Server) string {
	t.Helper()
	status, text := request(t, s.URL, "", http.MethodGet, "/metrics", "")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d", status)
	}
	return string(text)
}
