package scale

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// sample is what there is at some moment of a day.
type sample struct {
	calls     int // that have ended since it began
	perSecond float64
	resident  int64
	stream    int64            // bytes of the folder of the event stream
	tables    map[string]table // by name
	// old are calls, logs and keys whose time has passed; of the calls those that were
	// not their client's newest when the day began.
	old int
}

// table is what one takes.
type table struct {
	bytes, indexes int64
	live, dead     int64
	vacuumed       int64 // how often
}

// watched are the tables that a call writes to.
func watched() []string { return []string{"claims", "calls", "outbox", "idempotency_keys"} }

// day has agents make many calls flat out, some of them with idempotency keys, while
// what is old is forgotten beside them, and looks at all of it now and then. With a port for NATS
// the stream gets the events of this day, and those of the day before that wait in the outbox.
func (d *deployment) day(t *testing.T, calls, agents, looks int, serve ...string) []sample {
	t.Helper()
	d.restart(t, append(serve, "--retain", "365d")...)
	ctx, cancel := context.WithCancel(t.Context())
	var keyed sync.WaitGroup
	keyed.Go(func() { d.callWithKeys(ctx, t) })
	defer keyed.Wait()
	defer cancel()

	samples := []sample{d.look(t)}
	every := time.Second
	for done, look := 0, 1; done < calls && look < 50*looks && !t.Failed(); look++ {
		tally := d.load(t, agents, 0, every)
		done += tally.Calls
		if rate := tally.PerSecond(tally.Calls); rate > 0 { // so that there are as many looks as are wanted
			every = time.Duration(float64(calls)/float64(looks)/rate*float64(time.Second)) + time.Second
		}
		s := d.look(t)
		s.calls, s.perSecond = done, tally.PerSecond(tally.Calls)
		samples = append(samples, s)
	}
	return samples
}

// age puts into the store what people did two years ago: n calls with their logs,
// and keys that nobody needs any more. Their tokens are below all that were given.
func (d *deployment) age(t *testing.T, n int) {
	t.Helper()
	d.exec(t, `
INSERT INTO calls (id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at)
SELECT gen_random_uuid(), k.id, $2::uuid, i - 10, 'completed', 'no interest', 'called, and was told to call again in spring',
       now() - interval '2 years', now() - interval '2 years'
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM clients LIMIT $1 / 3 + 1) k, generate_series(1, 3) i`, n, d.users[0])
	d.exec(t, `
INSERT INTO call_logs (id, client_id, user_id, call_id, call_type, call_status, notes, callback_requested, created_at)
SELECT gen_random_uuid(), client_id, user_id, id, 'outbound', 'completed', notes, false, ended_at FROM calls WHERE token < 0 LIMIT $1`, n/3)
	d.exec(t, `
INSERT INTO idempotency_keys (caller, key, digest, answer, created_at)
SELECT 'key:' || gen_random_uuid(), gen_random_uuid()::text, decode(repeat('00', 32), 'hex'), '{}', now() - interval '2 days'
FROM generate_series(1, $1)`, n/3)
	d.exec(t, `VACUUM ANALYZE`)
}

// callWithKeys is one agent whose commands carry idempotency keys.
func (d *deployment) callWithKeys(ctx context.Context, t *testing.T) {
	client := newClient(t)
	user := d.users[len(d.users)-1]
	for ctx.Err() == nil {
		start := fmt.Sprintf(`{"action":"start_call","user_id":%q,"client_id":%q,"lease_seconds":300}`, user, d.clients[d.size.calls+rand.IntN(d.size.clients-d.size.calls)])
		for _, body := range []string{start, fmt.Sprintf(`{"action":"end_call","user_id":%q}`, user)} {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, d.server.URL+"/api/user-status", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+d.key)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", fmt.Sprintf("%016x", rand.Uint64()))
			resp, err := client.Do(req)
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK, http.StatusConflict, http.StatusServiceUnavailable, http.StatusTooManyRequests:
			default:
				t.Errorf("a command with a key: %s", resp.Status)
				return
			}
		}
	}
}

// look takes a sample.
func (d *deployment) look(t *testing.T) sample {
	t.Helper()
	s := sample{resident: d.server.ResidentMemory(), tables: map[string]table{}, stream: folder(t, filepath.Join(d.Store.DataDir, "nats"))}
	rows, err := d.db.Query(t.Context(), `
SELECT relname, pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup, autovacuum_count
FROM pg_stat_user_tables WHERE relname = ANY ($1)`, watched())
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var of table
	_, err = pgx.ForEachRow(rows, []any{&name, &of.bytes, &of.indexes, &of.live, &of.dead, &of.vacuumed}, func() error {
		s.tables[name] = of
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.db.QueryRow(t.Context(), `
SELECT (SELECT count(*) FROM calls c WHERE ended_at < now() - interval '365 days' AND EXISTS (
            SELECT FROM calls n WHERE n.client_id = c.client_id AND n.token > c.token AND n.ended_at = c.ended_at))
     + (SELECT count(*) FROM call_logs WHERE created_at < now() - interval '365 days')
     + (SELECT count(*) FROM idempotency_keys WHERE created_at < now() - interval '24 hours')`).Scan(&s.old)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folder is how many bytes the files of a folder have.
func folder(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // files come and go
		}
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}
