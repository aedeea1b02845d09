package archtest

import (
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestImports holds the project, as it is, to the rules.
func TestImports(t *testing.T) {
	g := load(t)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, v := range r.violations(g) {
				t.Error(v)
			}
		})
	}
}

// TestPurity holds the state machines to what an import list does not show.
func TestPurity(t *testing.T) {
	for path, p := range load(t) {
		if !pure().match(path) {
			continue
		}
		for _, name := range p.GoFiles {
			found, err := impurities(token.NewFileSet(), filepath.Join(p.Dir, name), nil)
			if err != nil {
				t.Error(err)
			}
			for _, what := range found {
				t.Error(what)
			}
		}
	}
}

func load(t *testing.T) graph {
	t.Helper()
	g, err := loadGraph(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := g[module+"/messages"]; !ok {
		t.Fatalf("go list found %d packages, and messages is not among them", len(g))
	}
	return g
}

// TestRulesHaveTeeth gives every rule a project that breaks it, and one that
// nearly does.
func TestRulesHaveTeeth(t *testing.T) {
	const protoActor, protoCluster = "github.com/asynkron/protoactor-go/actor", "github.com/asynkron/protoactor-go/cluster"
	tests := []struct {
		rule  string
		bad   string // package: imports, one a line; "test" before a package for its tests
		chain string // must be in the report
		good  string
	}{
		{
			rule: "messages imports nothing of the project",
			bad:  "./messages: ./actors", chain: "/messages → ",
			good: "./messages: encoding/json github.com/google/uuid",
		},
		{
			rule: "messages imports no library of a layer",
			bad:  "./messages: github.com/jackc/pgx/v5/pgtype", chain: "pgtype",
			good: "./messages: github.com/google/uuid",
		},
		{
			rule: "the state machines import messages and side-effect-free standard library only",
			bad:  "./actors/user: ./messages sync", chain: "user → sync",
			good: "./actors/user: ./messages time fmt\ntest ./actors/user: os testing",
		},
		{
			rule: "the state machines import messages and side-effect-free standard library only",
			bad:  "./actors/client: math/rand", chain: "client → math/rand",
			good: "./actors/client: math\n./actors: context log/slog",
		},
		{
			rule: "actors imports neither persistence nor transport",
			bad:  "./actors: ./engine\n./engine: ./persistence", chain: "/engine → " + module + "/persistence",
			good: "./actors: ./messages\n./persistence: ./messages",
		},
		{
			rule: "actors imports neither persistence nor transport",
			bad:  "./actors: ./messages\ntest ./actors: ./persistence/pgtest", chain: "pgtest",
			good: "./actors: ./actors/user",
		},
		{
			rule: "transports import neither actors nor persistence",
			bad:  "./transport/httpapi: ./auth\n./auth: ./persistence", chain: "/auth → ",
			good: "./transport/httpapi: ./messages net/http",
		},
		{
			rule: "live imports neither actors nor persistence nor transport",
			bad:  "./live: ./feeds\n./feeds: ./transport/natsapi", chain: "/feeds → " + module + "/transport/natsapi",
			good: "./live: ./messages\ntest ./live: ./transport/httpapi",
		},
		{
			rule: "live imports neither actors nor persistence nor transport",
			bad:  "./live: ./persistence", chain: "/persistence",
			good: "./transport/natsapi: ./live\n./actors: ./messages",
		},
		{
			rule: "admission imports nothing of the project",
			bad:  "./admission: ./messages", chain: "messages",
			good: "./admission: ./admission/limit sync/atomic",
		},
		{
			rule: "placement imports nothing of the project and side-effect-free standard library only",
			bad:  "./placement: sync", chain: "placement → sync",
			good: "./placement: time slices hash/fnv\n./placement/membership: ./placement sync",
		},
		{
			rule: "what carries placement imports nothing of the project but placement",
			bad:  "./placement/natskv: ./messages", chain: "natskv → " + module + "/messages",
			good: "./placement/natskv: ./placement ./placement/membership",
		},
		{
			rule: "httpapi does not import natsapi",
			bad:  "./transport/httpapi: ./transport/natsapi", chain: "natsapi",
			good: "./transport/natsapi: ./messages",
		},
		{
			rule: "natsapi does not import httpapi",
			bad:  "./transport/natsapi: ./transport/httpapi/web", chain: "httpapi/web",
			good: "./transport/httpapi: ./transport/httpapi/web",
		},
		{
			rule: "what transports share imports messages and phone alone",
			bad:  "./transport/wire: ./messages ./auth", chain: "/auth",
			good: "./transport/wire: ./messages ./phone\n./transport/httpapi: ./transport/wire",
		},
		{
			rule: "the client library imports nothing of the project",
			bad:  "./client: ./messages", chain: "/messages",
			good: "./client: net/http github.com/nats-io/nats.go\ntest ./client: ./messages ./transport/natsapi",
		},
		{
			rule: "the fleet imports nothing of the project",
			bad:  "./fleet: ./client", chain: "/client",
			good: "./fleet: net/http github.com/nats-io/nats.go",
		},
		{
			rule: "examples import the client library alone",
			bad:  "./examples/dialer: ./client ./messages", chain: "/messages",
			good: "./examples/dialer: ./client log",
		},
		{
			rule: "the Postgres store does not import the SQLite store",
			bad:  "./persistence/postgres: ./persistence/sqlite", chain: "sqlite",
			good: "./persistence/postgres: ./persistence ./migrations",
		},
		{
			rule: "the SQLite store does not import the Postgres store",
			bad:  "test ./persistence/sqlite: ./persistence/postgres", chain: "postgres",
			good: "./persistence/sqlite: ./persistence ./migrations",
		},
		{
			rule: "protoactor stays in actors",
			bad:  "./cmd/dibs: " + protoActor, chain: "protoactor-go/actor",
			good: "./actors: " + protoActor + "\n./cmd/dibs: ./actors",
		},
		{
			rule: "of protoactor only actor and scheduler are used",
			bad:  "./actors: " + protoCluster, chain: "cluster",
			good: "./actors: " + protoActor + " github.com/asynkron/protoactor-go/scheduler",
		},
		{
			rule: "pgx stays in the Postgres store and its test kit",
			bad:  "./cmd/dibs: github.com/jackc/pgx/v5", chain: "pgx/v5",
			good: "./persistence/postgres: github.com/jackc/pgx/v5/pgxpool\ntest ./bench: github.com/jackc/pgx/v5",
		},
		{
			rule: "chi stays in httpapi",
			bad:  "./transport/natsapi: github.com/go-chi/chi/v5/middleware", chain: "chi",
			good: "./transport/httpapi: github.com/go-chi/chi/v5",
		},
		{
			rule: "nats.go stays in natsapi, the placement that rides on it and the client library",
			bad:  "./actors: github.com/nats-io/nats.go/jetstream", chain: "jetstream",
			good: "./placement/natskv: github.com/nats-io/nats.go\n./client: github.com/nats-io/nats.go",
		},
		{
			rule: "OpenTelemetry's SDK stays in cmd/dibs and the test kit of spans",
			bad:  "./transport/httpapi: go.opentelemetry.io/otel/sdk/trace", chain: "sdk/trace",
			good: "./transport/httpapi: go.opentelemetry.io/otel/trace\n./cmd/dibs: go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp",
		},
		{
			rule: "OpenTelemetry stays in the transports and cmd/dibs",
			bad:  "./actors: go.opentelemetry.io/otel/trace", chain: "otel/trace",
			good: "./transport/wire: go.opentelemetry.io/otel/trace",
		},
		{
			rule: "production code does not import testing",
			bad:  "./persistence/postgres: ./persistence/pgtest\n./persistence/pgtest: testing", chain: "pgtest → testing",
			good: "./persistence/pgtest: testing\ntest ./persistence/postgres: ./persistence/pgtest testing",
		},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.rule] = true
		r := ruleNamed(t, tt.rule)
		got := r.violations(synthetic(tt.bad))
		if len(got) != 1 || !strings.Contains(got[0], tt.chain) || !strings.Contains(got[0], r.reason) {
			t.Errorf("%s\nis broken by\n%s\nreported: %q, want one with %q and the reason", tt.rule, tt.bad, got, tt.chain)
		}
		if got := r.violations(synthetic(tt.good)); len(got) != 0 {
			t.Errorf("%s\nis kept by\n%s\nreported: %q", tt.rule, tt.good, got)
		}
	}
	for _, r := range rules() {
		if !covered[r.name] {
			t.Errorf("no example that breaks %q", r.name)
		}
	}
}

func ruleNamed(t *testing.T, name string) rule {
	t.Helper()
	for _, r := range rules() {
		if r.name == name {
			return r
		}
	}
	t.Fatalf("no rule %q", name)
	return rule{}
}

// synthetic reads a project from lines of "[test ]package: import import…".
func synthetic(text string) graph {
	full := func(p string) string {
		if rest, ok := strings.CutPrefix(p, "./"); ok {
			return module + "/" + rest
		}
		return p
	}
	g := graph{}
	for line := range strings.Lines(text) {
		from, to, _ := strings.Cut(line, ":")
		from, inTest := strings.CutPrefix(from, "test ")
		from = full(from)
		p := g[from]
		p.ImportPath = from
		for _, i := range strings.Fields(to) {
			if inTest {
				p.XTestImports = append(p.XTestImports, full(i))
			} else {
				p.Imports = append(p.Imports, full(i))
			}
		}
		g[from] = p
	}
	return g
}

func TestImpurities(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"clock", `import "time"; var t = time.Now()`, "time.Now"},
		{"renamed clock", `import clock "time"; func f() { clock.Sleep(1) }`, "time.Sleep"},
		{"clock as a value", `import "time"; var now = time.Now`, "time.Now"},
		{"dot import", `import . "time"; var t = Now()`, "dot import"},
		{"goroutine", `func f() { go f() }`, "goroutine"},
		{"channel", `type s struct{ c chan int }`, "channels"},
		{"print", `import "fmt"; func f() { fmt.Println() }`, "fmt.Println"},
		{"types of time", `import "time"; func f(now time.Time) time.Time { return now.Add(time.Second) }`, ""},
		{"formatting", `import "fmt"; var s = fmt.Sprintf("%d", 1)`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := impurities(token.NewFileSet(), "x.go", "package x; "+tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if joined := strings.Join(got, "\n"); (tt.want == "") != (joined == "") || !strings.Contains(joined, tt.want) {
				t.Errorf("found %q, want %q", joined, tt.want)
			}
		})
	}
}
