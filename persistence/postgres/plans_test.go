package postgres_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/jackc/pgx/v5"
)

// Plans are made once a connection and kept. One that was made when vacuum had
// just seen the tables empty must not walk them when they are full: every table is
// read by an index and a condition on it.
func TestPlansOfEmptyTables(t *testing.T) {
	ctx := t.Context()
	s := open(t, pgtest.URL(t))
	err := s.OnEngine(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, `VACUUM ANALYZE`); err != nil {
			return err
		}
		for name, sql := range postgres.Statements() {
			t.Run(name, func(t *testing.T) { wantIndexed(ctx, t, conn, sql) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantIndexed(ctx context.Context, t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	d, err := conn.Prepare(ctx, "plan", sql)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Deallocate(ctx, "plan") }()
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(d.ParamOIDs)), ", ")
	var raw []byte
	if err := conn.QueryRow(ctx, `EXPLAIN (FORMAT JSON) EXECUTE plan (`+nulls+`)`, pgx.QueryExecModeSimpleProtocol).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(raw, &plans); err != nil {
		t.Fatal(err)
	}
	if bad := plans[0].Plan.walks(); len(bad) > 0 {
		t.Errorf("walks %v:\n%s", bad, raw)
	}
}

// node is a node of a plan.
type node struct {
	NodeType  string `json:"Node Type"`
	Relation  string `json:"Relation Name"`
	IndexCond string `json:"Index Cond"`
	Filter    string `json:"Filter"`
	Plans     []node `json:"Plans"`
}

// walks lists the tables that are read as a whole. Reading claims once, for the
// rows of a few users or clients, is what a plan may do.
func (n node) walks() (tables []string) {
	once := n.Relation == "claims" && strings.Contains(n.Filter, "= ANY")
	if n.Relation != "" && !once && strings.Contains(n.NodeType, "Scan") && n.IndexCond == "" && n.NodeType != "Bitmap Heap Scan" {
		tables = append(tables, n.Relation)
	}
	for _, p := range n.Plans {
		tables = append(tables, p.walks()...)
	}
	return tables
}
