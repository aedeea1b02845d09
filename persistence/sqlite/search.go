package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
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

// endings is the query that finds all who have two digits at the very end of
// what a search looks at. There they begin no piece of three characters; the
// one that ends with them has a digit or the line's beginning before them.
func endings(number string) string {
	var pieces []string
	for _, before := range "0123456789\n" {
		pieces = append(pieces, `"`+string(before)+number+`"`)
	}
	return strings.Join(pieces, " OR ")
}

// filter is a condition on clients and its parameters.
type filter struct {
	condition string
	args      []any
}

// arg adds a parameter and returns its name.
func (f *filter) arg(value any) string {
	f.args = append(f.args, value)
	return "?" + strconv.Itoa(len(f.args))
}

// searchFilter says which clients a search finds. Who has the characters of a
// piece is looked up, if they are two or more; of one character every client is
// looked at.
func searchFilter(search string) filter {
	term := fold(strings.TrimSpace(search))
	if term == "" {
		return filter{condition: "true"}
	}
	var f filter
	pieces := []string{term}
	f.condition = "instr(search, " + f.arg(term) + ") > 0"
	if number := phoneDigits(term); number != "" && number != term {
		pieces = append(pieces, number)
		f.condition += " or instr(search, " + f.arg(number) + ") > 0"
	}
	var known []string
	for _, piece := range pieces {
		switch utf8.RuneCountInString(piece) {
		case 1:
			return f
		case 2:
			known = append(known, "seq in (select doc from client_trigram_places where term between "+
				f.arg(piece)+" and "+f.arg(piece+string(utf8.MaxRune))+")")
			if piece == digits(piece) {
				known = append(known, f.match(endings(piece)))
			}
		default:
			known = append(known, f.match(trigrams(piece)))
		}
	}
	f.condition = "(" + strings.Join(known, " or ") + ") and (" + f.condition + ")"
	return f
}

func (f *filter) match(query string) string {
	return "seq in (select rowid from client_trigrams where client_trigrams match " + f.arg(query) + ")"
}

// pageOf reads which clients are on a page of those that a filter finds. The page is
// complete before its first row comes out: only until then does SQLite heed a context
// that ends. So it is of numbers: SQLite would hold the rows in memory, twice, and
// nobody would count them.
func pageOf(f *filter, limit int, before int64) string {
	return `
		with page as materialized (select seq, name, id from clients
			where ` + f.condition + ` order by name, id limit ` + f.arg(limit) + ` offset ` + f.arg(before) + `)
		select seq from page order by name, id`
}

// clientsOnPage are those of a list of numbers, each with its place in the list.
const clientsOnPage = `
	select c.id, c.name, c.phone, c.email, c.notes, c.attributes, c.created_at, c.updated_at, j.key
	from json_each(?1) j cross join clients c on c.seq = j.value`

// numbers runs a query that begins as pageOf.
func (s *Store) numbers(ctx context.Context, query string, args ...any) ([]int64, error) {
	var numbers []int64
	err := s.query(ctx, query, args, func(rows *sql.Rows) error {
		var seq int64
		err := rows.Scan(&seq)
		numbers = append(numbers, seq)
		return err
	})
	return numbers, err
}

// inOrder reads clients by their numbers, in that order. One who was deleted since
// is left out.
func (s *Store) inOrder(ctx context.Context, numbers []int64, room messages.Room) ([]messages.Client, error) {
	page := make([]messages.Client, len(numbers))
	err := s.query(ctx, clientsOnPage, []any{list(numbers)}, func(rows *sql.Rows) error {
		var place int
		c, err := scanClient(func(to ...any) error { return rows.Scan(append(to, &place)...) })
		if err != nil {
			return err
		}
		page[place] = c
		return room.For(&c)
	})
	return slices.DeleteFunc(page, func(c messages.Client) bool { return c.ID.IsZero() }), err
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
	numbers, err := s.numbers(ctx, pageOf(&f, q.Limit, before), f.args...)
	if err != nil {
		return nil, 0, err
	}
	clients, err := s.inOrder(ctx, numbers, q.Room)
	return clients, total, err
}
