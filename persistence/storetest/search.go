package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func searchPromises() []promise {
	return []promise{
		{"Pages follow one another by name and id", searchPages},
		{"A page past the end is empty and the count still right", searchPastEnd},
		{"Name, phone and e-mail are searched without regard to case", searchFields},
		{"The digits of a number are found however it is spelled", searchPhone},
		{"Two characters are found wherever they stand", searchTwo},
		{"Digits in a name do not find phone numbers", searchDigitsInName},
		{"Wildcards, quotes and operators are taken literally", searchLiterals},
		{"What was updated is found as it is now", searchUpdated},
		{"A search has pages as well", searchPaged},
		{"A page for which there is no room is not read", searchRoom},
	}
}

// wantFound fails unless the search finds the clients of these names, in the
// order of the list.
func wantFound(t *testing.T, s persistence.Store, search string, want ...string) {
	t.Helper()
	clients, total, err := s.ListClients(t.Context(), messages.ClientQuery{Search: search, Page: 1, Limit: 100})
	noError(t, err)
	var got []string
	for _, c := range clients {
		got = append(got, c.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("search %q found %q, want %q", search, got, want)
	}
	if total != len(want) {
		t.Errorf("search %q counts %d, want %d", search, total, len(want))
	}
}

// addNamed adds clients in an order other than that of their names.
func addNamed(t *testing.T, s persistence.Store, clients ...messages.Client) {
	t.Helper()
	for i := range clients {
		clients[i].ID, clients[i].Attributes = newClientID(), []byte(`{}`)
	}
	slices.Reverse(clients)
	noError(t, s.AddClients(t.Context(), clients))
}

func searchPages(t *testing.T, s persistence.Store) {
	var all []messages.Client
	for i := range 25 {
		all = append(all, newClient(fmt.Sprintf("Client %02d", i/2))) // names come twice
	}
	slices.Reverse(all)
	noError(t, s.AddClients(t.Context(), all))
	slices.SortFunc(all, func(a, b messages.Client) int {
		return slices.Compare([]string{a.Name, a.ID.String()}, []string{b.Name, b.ID.String()})
	})
	for page := 1; page <= 4; page++ {
		got, total, err := s.ListClients(t.Context(), messages.ClientQuery{Page: page, Limit: 7})
		noError(t, err)
		wantEqual(t, "count", total, len(all))
		want := all[7*(page-1) : min(7*page, len(all))]
		wantEqual(t, "rows of the page", len(got), len(want))
		for i := range want {
			wantClient(t, got[i], want[i])
		}
	}
}

func searchPastEnd(t *testing.T, s persistence.Store) {
	addClients(t, s, 3)
	for _, page := range []int{2, 1_000_000, 1 << 40} {
		got, total, err := s.ListClients(t.Context(), messages.ClientQuery{Page: page, Limit: 1000})
		noError(t, err)
		wantEqual(t, "rows", len(got), 0)
		wantEqual(t, "count", total, 3)
	}
}

func searchFields(t *testing.T, s persistence.Store) {
	addNamed(
		t, s,
		messages.Client{Name: "Ada Lovelace", Email: "countess@Analytical.example"},
		messages.Client{Name: "Jörg Özil", Phone: "+4930901820"},
		messages.Client{Name: "Mary Ann", Email: "mary@example.org", Notes: "lovelace"},
	)
	wantFound(t, s, "", "Ada Lovelace", "Jörg Özil", "Mary Ann")
	wantFound(t, s, "LOVE", "Ada Lovelace")
	wantFound(t, s, "a l", "Ada Lovelace")
	wantFound(t, s, "analytical.EXAMPLE", "Ada Lovelace")
	wantFound(t, s, "JÖRG ö", "Jörg Özil")
	wantFound(t, s, "özil", "Jörg Özil")
	wantFound(t, s, "a", "Ada Lovelace", "Mary Ann")
	wantFound(t, s, "ZI", "Jörg Özil")
	wantFound(t, s, "@example.org", "Mary Ann")
	wantFound(t, s, "nobody")
	wantFound(t, s, "Lovelace Ada")
}

func searchPhone(t *testing.T, s persistence.Store) {
	addNamed(
		t, s,
		messages.Client{Name: "A", Phone: "+14155550123"},
		messages.Client{Name: "B", Phone: "(030) 901-820 / 47"},
		messages.Client{Name: "C", Phone: "+14155550199"},
	)
	wantFound(t, s, "+1 (415) 555-0123", "A")
	wantFound(t, s, "415.555.01", "A", "C")
	wantFound(t, s, "+14155550199", "C")
	wantFound(t, s, "5550123", "A")
	wantFound(t, s, "03090182047", "B")
	wantFound(t, s, "901 820", "B")
	wantFound(t, s, "(030) 901-820", "B")
	wantFound(t, s, "415 555 0124")
}

func searchTwo(t *testing.T, s persistence.Store) {
	addNamed(
		t, s,
		messages.Client{Name: "Ab", Phone: "+1 4155 5501-4 7", Email: "yz"},
		messages.Client{Name: "Bo xü", Phone: "61"},
		messages.Client{Name: "Ka🎯é", Email: "q%_r@example.com"},
		messages.Client{Name: "qw"},
	)
	for search, want := range map[string][]string{
		"aB": {"Ab"}, "YZ": {"Ab"}, "o x": {"Bo xü"}, "XÜ": {"Bo xü"}, "🎯É": {"Ka🎯é"}, "a🎯": {"Ka🎯é"},
		"%_": {"Ka🎯é"}, "m": {"Ka🎯é"}, "qw": {"qw"}, "wq": nil, "zz": nil, "b+": nil,
		"47": {"Ab"}, "4 7": {"Ab"}, "(4)": {"Ab"}, "61": {"Bo xü"}, "6-1": {"Bo xü"}, "55": {"Ab"}, "14": {"Ab"}, "74": nil, "16": nil,
	} {
		wantFound(t, s, search, want...)
	}
}

func searchDigitsInName(t *testing.T, s persistence.Store) {
	addNamed(
		t, s,
		messages.Client{Name: "Agent 415", Phone: "+493012345"},
		messages.Client{Name: "Other", Phone: "+14155550123"},
	)
	wantFound(t, s, "agent 415", "Agent 415")
	wantFound(t, s, "415", "Agent 415", "Other")
}

func searchLiterals(t *testing.T, s persistence.Store) {
	addNamed(
		t, s,
		messages.Client{Name: `100% Juice`},
		messages.Client{Name: `100 Juices`},
		messages.Client{Name: `Back\slash`},
		messages.Client{Name: `Emoji 🎯 Inc`},
		messages.Client{Name: `O'Neil "Ned"`},
		messages.Client{Name: `Snake_Case AND (Dog* OR Cat)`},
		messages.Client{Name: `SnakeXCase`},
	)
	wantFound(t, s, `100%`, `100% Juice`)
	wantFound(t, s, `%`, `100% Juice`)
	wantFound(t, s, `_`, `Snake_Case AND (Dog* OR Cat)`)
	wantFound(t, s, `snake_case`, `Snake_Case AND (Dog* OR Cat)`)
	wantFound(t, s, `\`, `Back\slash`)
	wantFound(t, s, `back\s`, `Back\slash`)
	wantFound(t, s, `\\`)
	wantFound(t, s, `o'n`, `O'Neil "Ned"`)
	wantFound(t, s, `'`, `O'Neil "Ned"`)
	wantFound(t, s, `"ned"`, `O'Neil "Ned"`)
	wantFound(t, s, `AND (dog* OR`, `Snake_Case AND (Dog* OR Cat)`)
	wantFound(t, s, `juice OR case`)
	wantFound(t, s, `name:juice`)
	wantFound(t, s, `🎯`, `Emoji 🎯 Inc`)
	wantFound(t, s, `[1-9]`)
}

func searchUpdated(t *testing.T, s persistence.Store) {
	c := newClient("Before")
	noError(t, s.AddClients(t.Context(), []messages.Client{c}))
	update(t, s, patchTo(c.ID, "After", "+493099887766", "after@example.org", ""))
	wantFound(t, s, "before")
	wantFound(t, s, "415555")
	wantFound(t, s, "after", "After")
	wantFound(t, s, "30 998 877", "After")
}

func searchPaged(t *testing.T, s persistence.Store) {
	addClients(t, s, 30)
	addNamed(t, s, messages.Client{Name: "Somebody else"})
	for page, want := range map[int]string{1: "Client 000", 2: "Client 010", 3: "Client 020"} {
		got, total, err := s.ListClients(t.Context(), messages.ClientQuery{Search: "CLIENT", Page: page, Limit: 10})
		noError(t, err)
		wantEqual(t, "count", total, 30)
		wantEqual(t, "rows", len(got), 10)
		wantEqual(t, "first of the page", got[0].Name, want)
	}
}

// errNoRoom is what a caller says who has none.
var errNoRoom = errors.New("no room")

// roomFor is room for some bytes, and counts what it was asked for.
func roomFor(limit int, asked *int) messages.Room {
	return func(n int) error {
		if *asked += n; *asked > limit {
			return errNoRoom
		}
		return nil
	}
}

func searchRoom(t *testing.T, s persistence.Store) {
	const n, notes = 20, 10_000
	var all []messages.Client
	for i := range n {
		c := newClient(fmt.Sprintf("Client %02d", i))
		c.Notes = strings.Repeat("n", notes)
		all = append(all, c)
	}
	noError(t, s.AddClients(t.Context(), all))
	for _, search := range []string{"", "client"} {
		for _, page := range []int{1, 2} { // the second is read from the end
			asked := 0
			query := messages.ClientQuery{Search: search, Page: page, Limit: n / 2, Room: roomFor(5*notes, &asked)}
			if _, _, err := s.ListClients(t.Context(), query); !errors.Is(err, errNoRoom) || asked < 5*notes || asked > 7*notes {
				t.Errorf("search %q, page %d: %v after %d bytes", search, page, err, asked)
			}
			asked = 0
			query.Room = roomFor(n*notes, &asked)
			got, total, err := s.ListClients(t.Context(), query)
			noError(t, err)
			wantEqual(t, "count", total, n)
			wantEqual(t, "rows", len(got), n/2)
			if asked < n/2*notes {
				t.Errorf("search %q, page %d: asked for %d bytes", search, page, asked)
			}
		}
	}
}
