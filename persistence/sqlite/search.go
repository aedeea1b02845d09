package sqlite

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
)

// searchText is what a search looks at. A search never spans two lines.
func searchText(c messages.Client) string {
	return fold(c.Name) + "\n" + fold(c.Phone) + "\n" + fold(c.Email) + "\n" + digits(c.Phone)
}

// fold makes two spellings that differ in case the same.
func fold(s string) string { return strings.ToLower(s) }

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// phoneDigits returns the digits of a search that looks like a phone number,
// or nothing.
func phoneDigits(search string) string {
	if strings.Trim(search, "0123456789 \t+-()./") != "" {
		return ""
	}
	return digits(search)
}

// trigrams is the query that finds all that have the three-character pieces of
// term, and some that have them in another order. Nothing if term is too short
// for one.
func trigrams(term string) string {
	// Of a long term its first pieces narrow enough.
	const most = 24
	runes := []rune(term)
	var pieces []string
	for i := 0; i+3 <= len(runes) && i < most; i++ {
		pieces = append(pieces, `"`+strings.ReplaceAll(string(runes[i:i+3]), `"`, `""`)+`"`)
	}
	return strings.Join(pieces, " AND ")
}

// filter is a condition on clients and its three parameters.
type filter struct {
	condition string
	args      []any
}

// searchFilter says which clients a search finds. Two characters are too few
// for the trigrams; then every client is looked at.
func searchFilter(search string) filter {
	term := fold(strings.TrimSpace(search))
	if term == "" {
		return filter{`coalesce(?1, ?2, ?3) is null`, []any{nil, nil, nil}}
	}
	const matches = `(instr(search, ?1) > 0 or (?2 <> '' and instr(search, ?2) > 0))`
	number := phoneDigits(term)
	if utf8.RuneCountInString(term) < 3 || (number != "" && len(number) < 3) {
		return filter{matches + ` and ?3 is null`, []any{term, number, nil}}
	}
	query := "(" + trigrams(term) + ")"
	if number != "" {
		query += " OR (" + trigrams(number) + ")"
	}
	return filter{
		`seq in (select rowid from client_trigrams where client_trigrams match ?3) and ` + matches,
		[]any{term, number, query},
	}
}

// ListClients implements [persistence.Clients].
func (s *Store) ListClients(ctx context.Context, q messages.ClientQuery) ([]messages.Client, int, error) {
	if err := checkText(q.Search); err != nil {
		return nil, 0, err
	}
	f := searchFilter(q.Search)
	var total int
	if _, err := s.row(ctx, `select count(*) from clients where `+f.condition, f.args, &total); err != nil {
		return nil, 0, err
	}
	before := offset(q.Page, q.Limit)
	if before >= int64(total) {
		return []messages.Client{}, total, nil
	}
	clients, err := s.clients(ctx, `where `+f.condition+` order by name, id limit ?4 offset ?5`,
		append(f.args, q.Limit, before)...)
	return clients, total, err
}
