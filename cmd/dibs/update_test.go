package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// byPhone returns the one client with a number.
func byPhone(t *testing.T, store persistence.Clients, phone string) messages.Client {
	t.Helper()
	found, err := store.FindClients(t.Context(), nil, []string{phone})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d clients have %s, %v", len(found), phone, err)
	}
	return found[0]
}

func TestClientsUpdate(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		sh.want(exitOK, "clients", "import", sh.file("Name,Phone,Email,Notes,City,Tier\n"+
			"Ada,2025550101,ada@example.org,likes tea,Leeds,gold\n"+
			"Ben,2025550102,ben@example.org,,Turin,\n"+
			"Cleo,2025550103,,,,\n"))
		store := sh.store()
		ada, cleo := byPhone(t, store, "+12025550101"), byPhone(t, store, "+12025550103")
		file := sh.file("Phone,Name,Email,Tier,Owner\n" +
			"(202) 555-0101,Ada Lovelace,,silver,<Zoë>\n" + // two cells new, one empty
			"202-555-0102,Ben,ben@example.org,,\n" + // nothing new
			"+1 202 555 0103,,cleo@example.org,,\n" + // the name stays
			"2025550104,Dan,,,\n" + // nobody yet
			"2025550101,Ada Again,,,\n" + // twice in the file
			"12345,Bad,,,\n")
		dry := sh.want(exitPartly, "clients", "import", file, "--update", "--dry-run")
		has(t, dry.stdout, "6 rows: 1 would be added, 2 would be updated (dry run: nothing was changed), "+
			"1 in the store already and the same, 1 twice in the file, 1 bad")
		if now := byPhone(t, store, "+12025550101"); now.Name != ada.Name || !now.UpdatedAt.Equal(ada.UpdatedAt) {
			t.Errorf("the dry run changed %+v", now)
		}
		has(t, sh.want(exitPartly, "clients", "import", file).stdout, "1 added, 3 in the store already")
		has(t, sh.want(exitPartly, "clients", "import", file, "--update").stdout,
			"6 rows: 0 added, 2 updated, 2 in the store already and the same, 1 twice in the file, 1 bad")
		wantClient(t, byPhone(t, store, "+12025550101"), messages.Client{ID: ada.ID, Name: "Ada Lovelace", Phone: ada.Phone,
			Email: "ada@example.org", Notes: "likes tea", Attributes: []byte(`{"City":"Leeds","Owner":"<Zoë>","Tier":"silver"}`)})
		wantClient(t, byPhone(t, store, "+12025550103"), messages.Client{ID: cleo.ID, Name: "Cleo", Phone: cleo.Phone,
			Email: "cleo@example.org", Attributes: []byte(`{}`)})
		has(t, sh.want(exitPartly, "clients", "import", file, "--update").stdout, "0 added, 0 updated, 4 in the store already")
		wantTrail(t, store, "clients.imported 3 of 2–4", "clients.imported 1 of 5–5", "clients.updated 2 of 2–4")
	})
}

func wantClient(t *testing.T, got, want messages.Client) {
	t.Helper()
	got.CreatedAt, got.UpdatedAt = want.CreatedAt, want.UpdatedAt
	got.Attributes = []byte(strings.ReplaceAll(string(got.Attributes), `": "`, `":"`))
	if fmt.Sprintf("%+v %s", got, got.Attributes) != fmt.Sprintf("%+v %s", want, want.Attributes) {
		t.Errorf("the client is %+v %s, want %+v %s", got, got.Attributes, want, want.Attributes)
	}
}

// wantTrail holds the entries of imports to what was done, the oldest first.
func wantTrail(t *testing.T, store persistence.Upkeep, want ...string) {
	t.Helper()
	trail, err := store.AuditTrail(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range slices.Backward(trail) {
		if !strings.HasPrefix(a.Subject, "import:") {
			continue
		}
		var d struct {
			File  string `json:"file"`
			First int    `json:"first_line"`
			Last  int    `json:"last_line"`
			Count int    `json:"count"`
		}
		if err := json.Unmarshal(a.Detail, &d); err != nil || d.File != "file.csv" || a.By != "cli:tester" {
			t.Errorf("entry %+v %s, %v", a, a.Detail, err)
		}
		got = append(got, fmt.Sprintf("%s %d of %d–%d", a.Action, d.Count, d.First, d.Last))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the trail is %q, want %q", got, want)
	}
}

// TestUpdateNeverGuesses: a row that could mean two clients changes neither.
func TestUpdateNeverGuesses(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		sh.want(exitOK, "users", "add", "x@example.com", "--no-password") // makes the store
		store := sh.store()
		twins := []messages.Client{{Name: "Twin A", Phone: "+12025550101"}, {Name: "Twin B", Phone: "+12025550101"}, {Name: "Only", Phone: "+12025550102"}}
		if err := store.AddClients(t.Context(), twins); err != nil {
			t.Fatal(err)
		}
		r := sh.want(exitPartly, "clients", "import", sh.file("Phone,Name\n2025550101,New\n2025550102,New\n"), "--update")
		has(t, r.stderr, "line 2: several clients have +12025550101")
		has(t, r.stdout, "2 rows: 0 added, 1 updated, 0 in the store already and the same, 0 twice in the file, 1 bad")

		own := func(rows string) result {
			return sh.run("clients", "import", "--update", sh.file("id,name,phone,email,notes,attributes\n"+rows))
		}
		only := twins[2].ID.String()
		has(t, own(only+",Only,+12025550101,,,\n").stderr, "line 2: +12025550101 is the number of another client")
		has(t, own(only+",Only,+12025550109,,,\n,Again,+12025550102,,,\n").stderr, "line 3: it is the client of line 2")
		if c, err := store.ClientByID(t.Context(), twins[2].ID); err != nil || c.Phone != "+12025550109" || c.Name != "Only" {
			t.Errorf("the client is %+v, %v", c, err)
		}
		has(t, own(twins[0].ID.String()+",Twin,+12025550101,,,\"{\"\"a\"\":1}\"\n").stdout, "1 updated")
		if c, err := store.ClientByID(t.Context(), twins[1].ID); err != nil || c.Name != "Twin B" {
			t.Errorf("the other twin is %+v, %v", c, err)
		}
	})
}

// TestUpdateOfWhatTheStoreRefuses: attributes that would grow beyond the limit
// cost their line alone.
func TestUpdateOfWhatTheStoreRefuses(t *testing.T) {
	sh := newShell(t)
	half := strings.Repeat("x", messages.MaxAttributes/2)
	sh.want(exitOK, "clients", "import", sh.file("Name,Phone,One\nAda,2025550101,"+half+"\nBen,2025550102,\n"))
	r := sh.want(exitPartly, "clients", "import", "--update", sh.file("Name,Phone,Two\nAda,2025550101,"+half+"\nBen,2025550102,b\n"))
	has(t, r.stdout, "0 added, 1 updated", "1 bad")
	has(t, r.stderr, "line 2: The client's attributes would have more than 16384 bytes")
}

// TestUpdateInBatches updates more clients than one transaction takes, twice.
func TestUpdateInBatches(t *testing.T) {
	sh := newShell(t)
	text, _ := leads(1200, 100_000)
	sh.want(exitOK, "clients", "import", sh.file(text))
	changed := sh.file(strings.ReplaceAll(text, ",imported\n", ",updated\n"))
	has(t, sh.want(exitOK, "clients", "import", changed, "--update").stdout, "1200 rows: 0 added, 1200 updated")
	has(t, sh.want(exitOK, "clients", "import", changed, "--update").stdout, "1200 rows: 0 added, 0 updated, 1200 in the store already")
	wantTrail(t, sh.store(), "clients.imported 500 of 2–501", "clients.imported 500 of 502–1001", "clients.imported 200 of 1002–1201",
		"clients.updated 500 of 2–501", "clients.updated 500 of 502–1001", "clients.updated 200 of 1002–1201")
	out := filepath.Join(t.TempDir(), "out.csv")
	sh.want(exitOK, "clients", "export", "--out", out)
	has(t, sh.want(exitOK, "clients", "import", out, "--update").stdout, "0 added, 0 updated, 1200 in the store already")
}

func TestWhoRunsIt(t *testing.T) {
	if by := byCLI(); !strings.HasPrefix(by, "cli:") || len(by) < len("cli:x") {
		t.Errorf("by %q", by)
	}
}
