package postgres

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
)

// ListClients implements [persistence.Clients].
func (s *Store) ListClients(ctx context.Context, q messages.ClientQuery) (page []messages.Client, total int, err error) {
	if term := strings.TrimSpace(q.Search); term != "" {
		return s.searchClients(ctx, term, q)
	}
	oneView := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.lists, oneView, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM clients`).Scan(&total); err != nil {
			return err
		}
		page, err = pageOfClients(ctx, tx, q, total)
		return err
	})
	if err != nil {
		return nil, 0, wrap(s.broken(err))
	}
	return page, total, nil
}

// pageOfClients reads the ids of a page from the index alone, from the end that is
// nearer, and then the clients: skipping 900,000 rows of the table would take twenty
// times as long.
func pageOfClients(ctx context.Context, tx pgx.Tx, q messages.ClientQuery, total int) ([]messages.Client, error) {
	skip, n, direction := offset(q.Page, q.Limit), int64(q.Limit), ``
	rest := int64(total) - skip
	if rest <= 0 {
		return []messages.Client{}, nil
	}
	backward := skip > int64(total)/2
	if backward {
		n = min(n, rest)
		skip, direction = rest-n, ` DESC`
	}
	order := ` ORDER BY name` + direction + `, id` + direction
	rows, err := tx.Query(ctx, `SELECT `+clientColumns+` FROM clients WHERE id = ANY (ARRAY (
		SELECT id FROM clients`+order+` LIMIT $1 OFFSET $2))`+order, n, skip)
	if err != nil {
		return nil, err
	}
	page := make([]messages.Client, 0, n)
	err = eachClient(rows, func(c messages.Client) error {
		page = append(page, c)
		return q.Room.For(&c)
	})
	if backward {
		slices.Reverse(page)
	}
	return page, err
}

// searched narrows to the clients that match $1 or $2, patterns of LIKE.
const searched = `FROM clients WHERE search LIKE lower($1) OR search LIKE $2`

func (s *Store) searchClients(ctx context.Context, term string, q messages.ClientQuery) ([]messages.Client, int, error) {
	pattern := "%" + escapeLike(term) + "%"
	digits := pattern
	if d := phoneDigits(term); d != "" {
		digits = "%" + d + "%"
	}
	var total int
	page := []messages.Client{}
	b := &pgx.Batch{}
	b.Queue(`SELECT count(*) `+searched, pattern, digits).QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	b.Queue(`SELECT `+clientColumns+` `+searched+` ORDER BY name, id LIMIT $3 OFFSET $4`,
		pattern, digits, q.Limit, offset(q.Page, q.Limit)).Query(func(rows pgx.Rows) error {
		return eachClient(rows, func(c messages.Client) error {
			page = append(page, c)
			return q.Room.For(&c)
		})
	})
	if err := s.lists.SendBatch(ctx, b).Close(); err != nil {
		return nil, 0, wrap(s.broken(err))
	}
	return page, total, nil
}

func offset(page, limit int) int64 { return int64(max(page, 1)-1) * int64(limit) }

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// phoneDigits is the digits of a search that looks like a phone number, or "".
func phoneDigits(s string) string {
	var digits strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case unicode.IsSpace(r) || strings.ContainsRune("+-()./", r):
		default:
			return ""
		}
	}
	return digits.String()
}
