package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// The libraries that are kept in one place each.
const (
	protoactor = "github.com/asynkron/protoactor-go/..."
	pgx        = "github.com/jackc/pgx/..."
	chi        = "github.com/go-chi/chi/..."
	natsClient = "github.com/nats-io/nats.go/..."
	natsServer = "github.com/nats-io/nats-server/..."
	otel       = "go.opentelemetry.io/otel/..."
	otelMore   = "go.opentelemetry.io/contrib/..."
)

// rule: no package of from may import one of to.
type rule struct {
	name         string
	from, except patterns // who is bound, and who of them is not
	to, allow    patterns // what is forbidden, and what of it is not
	direct       bool     // look at direct imports alone
	tests        bool     // binds their tests as well
	reason       string
}

// rules is what the design forbids.
func rules() []rule {
	return slices.Concat(layerRules(), libraryRules(), testKitRules())
}

// pure is where the state machines live.
func pure() patterns { return patterns{"./actors/user", "./actors/client", "./admission/limit"} }

// sideEffectFree is the standard library that a pure package may use. It may
// use time for its types alone; see impurities.
func sideEffectFree() patterns {
	return patterns{
		"bytes", "cmp", "container/heap", "container/list", "container/ring", "errors", "fmt",
		"iter", "maps", "math", "math/bits", "slices", "sort", "strconv", "strings", "time",
		"unicode", "unicode/utf8",
	}
}

func layerRules() []rule {
	return []rule{
		{
			name: "messages imports nothing of the project",
			from: patterns{"./messages/..."},
			to:   patterns{"./..."}, allow: patterns{"./messages/..."}, tests: true,
			reason: "it is what all layers say to each other: if it knew one of them, every layer would depend on that one",
		},
		{
			name: "messages imports no library of a layer",
			from: patterns{"./messages/..."},
			to:   patterns{protoactor, pgx, chi, natsClient, natsServer}, tests: true,
			reason: "the contract must outlive the library that a layer is built on today",
		},
		{
			name: "the state machines import messages and side-effect-free standard library only",
			from: pure(),
			to:   patterns{"..."}, allow: append(sideEffectFree(), "./messages"), direct: true,
			reason: "a pure step can be replayed, driven through every interleaving and believed; " +
				"a context, a clock, a lock, a logger or I/O ends that",
		},
		{
			name: "actors imports neither persistence nor transport",
			from: patterns{"./actors/..."},
			to:   patterns{"./persistence/...", "./transport/..."}, tests: true,
			reason: "actors decide; they are handed what stores and carries. " +
				"A blocking call of either in an actor would stop everybody who waits for it",
		},
		{
			name: "transports import neither actors nor persistence",
			from: patterns{"./transport/..."},
			to:   patterns{"./actors/...", "./persistence/..."}, tests: true,
			reason: "a transport declares the narrow interface that it needs, " +
				"so that it is tested without the engine and cannot go round the claim to the store",
		},
		{
			name: "live imports neither actors nor persistence nor transport",
			from: patterns{"./live/..."},
			to:   patterns{"./actors/...", "./persistence/...", "./transport/..."},
			reason: "it is told what was committed, and reads it through an interface of its own; " +
				"what it shows must never depend on who told it, nor decide anything. " +
				"Its benchmarks go through the handler that people ask, and so its tests are free",
		},
		{
			name: "admission imports nothing of the project",
			from: patterns{"./admission/..."},
			to:   patterns{"./..."}, allow: patterns{"./admission/..."}, tests: true,
			reason: "all ways into the process share it, so it can belong to none; " +
				"and what is admitted must not depend on what it is about",
		},
		{
			name: "placement imports nothing of the project and side-effect-free standard library only",
			from: patterns{"./placement"},
			to:   patterns{"..."}, allow: append(sideEffectFree(), "encoding/binary", "hash/fnv"), direct: true,
			reason: "which node keeps an actor is proved by driving nodes through every interleaving; " +
				"a clock, a lock or a network in it ends that",
		},
		{
			name: "what carries placement imports nothing of the project but placement",
			from: patterns{"./placement/..."},
			to:   patterns{"./..."}, allow: patterns{"./placement/..."}, tests: true,
			reason: "it knows members and bytes; what actors say to each other is theirs alone",
		},
		{
			name: "httpapi does not import natsapi", tests: true,
			from: patterns{"./transport/httpapi/..."}, to: patterns{"./transport/natsapi/..."},
			reason: "each transport can be changed, left out or broken alone",
		},
		{
			name: "natsapi does not import httpapi", tests: true,
			from: patterns{"./transport/natsapi/..."}, to: patterns{"./transport/httpapi/..."},
			reason: "each transport can be changed, left out or broken alone",
		},
		{
			name: "what transports share imports messages and phone alone",
			from: patterns{"./transport/wire/..."},
			to:   patterns{"./..."}, allow: patterns{"./transport/wire/...", "./messages", "./phone", "./internal/eventjson"}, tests: true,
			reason: "it says what both transports say: if it knew one of them, the other would depend on that one",
		},
		{
			name: "the client library imports nothing of the project",
			from: patterns{"./client/..."},
			to:   patterns{"./..."}, allow: patterns{"./client/..."},
			reason: "it is for other people's programs: what they can see must not change with our inside, " +
				"nor what they have to compile. Its tests hold it to the server and are free",
		},
		{
			name: "the fleet imports nothing of the project",
			from: patterns{"./fleet/..."},
			to:   patterns{"./..."}, allow: patterns{"./fleet/..."}, tests: true,
			reason: "it judges the server by what everybody sees: with our types it would share our mistakes",
		},
		{
			name: "examples import the client library alone",
			from: patterns{"./examples/..."},
			to:   patterns{"./..."}, allow: patterns{"./examples/...", "./client"}, direct: true,
			reason: "an example that needs more than others have shows what nobody can copy",
		},
		{
			name: "the Postgres store does not import the SQLite store", tests: true,
			from: patterns{"./persistence/postgres/..."}, to: patterns{"./persistence/sqlite/..."},
			reason: "what the two share is the contract and its conformance suite, never each other's habits",
		},
		{
			name: "the SQLite store does not import the Postgres store", tests: true,
			from: patterns{"./persistence/sqlite/..."}, to: patterns{"./persistence/postgres/..."},
			reason: "what the two share is the contract and its conformance suite, never each other's habits",
		},
	}
}

func libraryRules() []rule {
	all := patterns{"./..."}
	return []rule{
		{
			name: "protoactor stays in actors",
			from: all, except: patterns{"./actors/..."},
			to: patterns{protoactor}, direct: true, tests: true,
			reason: "it is used, not imitated: with one place that knows it, it can be replaced there",
		},
		{
			name: "of protoactor only actor and scheduler are used",
			from: all,
			to:   patterns{protoactor}, direct: true, tests: true,
			allow: patterns{
				"github.com/asynkron/protoactor-go/actor", "github.com/asynkron/protoactor-go/scheduler",
			},
			reason: "its cluster split under pauses and never healed, its persistence blocks and loses errors",
		},
		{
			name: "pgx stays in the Postgres store and its test kit",
			from: all, except: patterns{"./persistence/postgres/...", "./persistence/pgtest/...", "./integration/...", "./bench/..."},
			to: patterns{pgx}, direct: true, tests: true,
			reason: "SQL beside the store's own would go round its transactions and its error codes",
		},
		{
			name: "chi stays in httpapi",
			from: all, except: patterns{"./transport/httpapi/..."},
			to: patterns{chi}, direct: true, tests: true,
			reason: "the router is a detail of one transport",
		},
		{
			name: "nats.go stays in natsapi, the placement that rides on it and the client library",
			from: all, except: patterns{"./transport/natsapi/...", "./placement/natskv/...", "./client/...", "./fleet/...", "./examples/...", "./integration/..."},
			to: patterns{natsClient, natsServer}, direct: true, tests: true,
			reason: "who publishes beside the outbox publishes what may never have been committed",
		},
		{
			name: "OpenTelemetry's SDK stays in cmd/dibs and the test kit of spans",
			from: all, except: patterns{"./cmd/dibs", "./transport/spans/spanstest"},
			to: patterns{"go.opentelemetry.io/otel/sdk/...", "go.opentelemetry.io/otel/exporters/...", otelMore}, direct: true, tests: true,
			reason: "what becomes of a span, and at what cost, is said in one place; everybody else makes spans",
		},
		{
			name: "OpenTelemetry stays in the transports and cmd/dibs",
			from: all, except: patterns{"./transport/...", "./cmd/dibs"},
			to: patterns{otel, otelMore}, direct: true,
			reason: "the engine and the stores are measured in microseconds and know of no requests; " +
				"their spans are made around them",
		},
	}
}

func testKitRules() []rule {
	kits := patterns{
		"./actors/internal/script", "./persistence/storetest/...", "./persistence/pgtest/...",
		"./integration/harness/...", "./integration/threenodes",
	}
	return []rule{
		{
			name: "production code does not import testing",
			from: patterns{"./..."}, except: kits,
			to:     patterns{"testing/...", "net/http/httptest", "go.uber.org/goleak/...", "github.com/google/go-cmp/..."},
			reason: "it registers flags and drags test helpers into the binary; a test kit is a package of its own",
		},
	}
}

// violations returns what in g breaks r, a line each, in order.
func (r rule) violations(g graph) []string {
	var out []string
	for path, p := range g {
		if !r.from.match(path) || r.except.match(path) {
			continue
		}
		imports := slices.Clone(p.Imports)
		if r.tests {
			imports = slices.Concat(imports, p.TestImports, p.XTestImports)
		}
		// The package itself is what an outside test of it imports.
		imports = slices.DeleteFunc(imports, func(i string) bool { return i == path })
		forbidden := func(i string) bool { return r.to.match(i) && !r.allow.match(i) }
		if way := r.way(g, imports, forbidden); way != nil {
			out = append(out, fmt.Sprintf("%s → %s\n\trule: %s\n\twhy:  %s",
				path, strings.Join(way, " → "), r.name, r.reason))
		}
	}
	slices.Sort(out)
	return out
}

func (r rule) way(g graph, imports []string, forbidden func(string) bool) []string {
	if !r.direct {
		return g.chain(imports, forbidden)
	}
	if i := slices.IndexFunc(imports, forbidden); i >= 0 {
		return imports[i : i+1]
	}
	return nil
}
