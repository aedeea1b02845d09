package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func clientChangePromises() []promise {
	return []promise{
		{"FindClients finds by id and by number, each once", clientFind},
		{"FindClients shows that a number is shared", clientFindShared},
		{"UpdateClients changes what is given and returns the clients as they are now", clientChange},
		{"UpdateClients merges attributes key by key", clientMerge},
		{"A merge never makes attributes too large", clientMergeLimit},
		{"UpdateClients changes many, and leaves out who does not exist", clientChangeMany},
		{"UpdateClients changes all or none", clientChangeAllOrNone},
		{"A client that is being called can be updated", clientChangeOnCall},
		{"Changes at once to different fields are all kept", clientChangeConcurrent},
		{"Batches that change the same clients at once all end", clientChangeCrossing},
	}
}

// update changes a client that exists.
func update(t *testing.T, s persistence.Store, p messages.ClientPatch) messages.Client {
	t.Helper()
	changed, err := s.UpdateClients(t.Context(), []messages.ClientPatch{p})
	noError(t, err)
	if len(changed) != 1 || changed[0].ID != p.ID {
		t.Fatalf("changed %+v, want client %s", changed, p.ID)
	}
	return changed[0]
}

func patchTo(id messages.ClientID, name, phone, email, notes string) messages.ClientPatch {
	return messages.ClientPatch{ID: id, Name: &name, Phone: &phone, Email: &email, Notes: &notes}
}

func wantFoundClients(t *testing.T, s persistence.Store, ids []messages.ClientID, phones []string, want ...messages.Client) {
	t.Helper()
	got, err := s.FindClients(t.Context(), ids, phones)
	noError(t, err)
	if len(got) != len(want) {
		t.Fatalf("found %d clients, want %d: %+v", len(got), len(want), got)
	}
	byID := func(a, b messages.Client) int { return cmp.Compare(a.ID.String(), b.ID.String()) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	for i := range got {
		wantClient(t, got[i], want[i])
	}
}

// numbered adds clients with these numbers.
func numbered(t *testing.T, s persistence.Store, phones ...string) []messages.Client {
	t.Helper()
	var clients []messages.Client
	for _, phone := range phones {
		c := newClient("Of " + phone)
		c.Phone = phone
		clients = append(clients, c)
	}
	noError(t, s.AddClients(t.Context(), clients))
	return clients
}

func clientFind(t *testing.T, s persistence.Store) {
	c := numbered(t, s, "+14155550111", "+14155550112", "+493012345", "4711")
	wantFoundClients(t, s, nil, nil)
	wantFoundClients(t, s, nil, []string{"+1415555011", "%", "", "+14155550119"})
	wantFoundClients(t, s, []messages.ClientID{newClientID()}, nil)
	wantFoundClients(t, s, nil, []string{"+493012345", "4711"}, c[2], c[3])
	wantFoundClients(t, s, []messages.ClientID{c[0].ID, c[2].ID}, []string{"+493012345", "+14155550112"}, c[0], c[1], c[2])
}

func clientFindShared(t *testing.T, s persistence.Store) {
	c := numbered(t, s, "+14155550111", "+14155550111", "+14155550111", "+493012345")
	got, err := s.FindClients(t.Context(), nil, []string{"+14155550111", "+493012345"})
	noError(t, err)
	found := make(map[string]int)
	for _, c := range got {
		found[c.Phone]++
	}
	wantEqual(t, "clients by number", found, map[string]int{"+14155550111": 2, "+493012345": 1})
	all := []messages.ClientID{c[0].ID, c[1].ID, c[2].ID}
	wantFoundClients(t, s, all, []string{"+14155550111"}, c[0], c[1], c[2])
}

func clientChange(t *testing.T, s persistence.Store) {
	c, other := addClient(t, s), addClient(t, s)
	p := patchTo(c.ID, "New Name", "+4930123456", "new@example.org", "new notes")
	p.Attributes = []byte(`{"new":true}`)
	audit := newAudit("clients.updated")
	changed, err := s.UpdateClients(t.Context(), []messages.ClientPatch{p}, audit)
	noError(t, err)
	wantEqual(t, "clients changed", len(changed), 1)
	wantOneAudit(t, s, audit)
	got := changed[0]
	if !storedTime(got.UpdatedAt) || !got.UpdatedAt.After(c.UpdatedAt) {
		t.Fatalf("updated at %v, before at %v", got.UpdatedAt, c.UpdatedAt)
	}
	want := messages.Client{
		ID: c.ID, Name: "New Name", Phone: "+4930123456", Email: "new@example.org", Notes: "new notes",
		Attributes: p.Attributes, CreatedAt: c.CreatedAt, UpdatedAt: got.UpdatedAt,
	}
	wantClient(t, got, want)
	wantFoundClients(t, s, []messages.ClientID{c.ID, other.ID}, nil, want, other)

	empty := ""
	got = update(t, s, messages.ClientPatch{ID: c.ID, Email: &empty})
	want.Email, want.UpdatedAt = "", got.UpdatedAt
	wantClient(t, got, want)
	got = update(t, s, messages.ClientPatch{ID: c.ID})
	want.UpdatedAt = got.UpdatedAt
	wantClient(t, got, want)
}

func clientMerge(t *testing.T, s persistence.Store) {
	c := newClient("Merged")
	c.Attributes = []byte(`{"kept":{"a":[1,2.50]},"tier":"gold","big":12345678901234567890123}`)
	noError(t, s.AddClients(t.Context(), []messages.Client{c}))
	merge := func(with string) messages.Client {
		return update(t, s, messages.ClientPatch{ID: c.ID, Attributes: []byte(with), Merge: true})
	}
	got := merge(`{"tier":"silver","city":"Łódź <b>"}`)
	want := `{"kept":{"a":[1,2.50]},"tier":"silver","big":12345678901234567890123,"city":"Łódź <b>"}`
	wantJSON(t, got.Attributes, []byte(want))
	wantJSON(t, merge(`{}`).Attributes, []byte(want))
	got, err := s.ClientByID(t.Context(), c.ID)
	noError(t, err)
	wantJSON(t, got.Attributes, []byte(want))
	wantEqual(t, "name", got.Name, c.Name)
}

func clientMergeLimit(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	half := func(key string) []byte {
		return fmt.Appendf(nil, `{%q:%q}`, key, strings.Repeat("x", messages.MaxAttributes/2))
	}
	update(t, s, messages.ClientPatch{ID: c.ID, Attributes: half("one"), Merge: true})
	_, err := s.UpdateClients(t.Context(), []messages.ClientPatch{{ID: c.ID, Attributes: half("two"), Merge: true}})
	wantCode(t, err, messages.CodeBadRequest)
	got, err := s.ClientByID(t.Context(), c.ID)
	noError(t, err)
	wantJSON(t, got.Attributes, half("one"))
}

func clientChangeMany(t *testing.T, s persistence.Store) {
	clients := addClients(t, s, 1000)
	gone := newClientID()
	patches := []messages.ClientPatch{{ID: gone}}
	want := make(map[messages.ClientID]string)
	for i, c := range clients {
		name := fmt.Sprintf("Changed %d", i)
		patches, want[c.ID] = append(patches, messages.ClientPatch{ID: c.ID, Name: &name}), name
	}
	changed, err := s.UpdateClients(t.Context(), patches)
	noError(t, err)
	for _, c := range changed {
		if want[c.ID] != c.Name {
			t.Fatalf("client %s is now %q, want %q", c.ID, c.Name, want[c.ID])
		}
		delete(want, c.ID)
	}
	wantEqual(t, "clients not changed", len(want), 0)

	audit := newAudit("clients.updated")
	changed, err = s.UpdateClients(t.Context(), []messages.ClientPatch{{ID: gone}}, audit)
	noError(t, err)
	wantEqual(t, "clients changed", len(changed), 0)
	changed, err = s.UpdateClients(t.Context(), nil, audit)
	noError(t, err)
	wantEqual(t, "clients changed", len(changed), 0)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
}

func clientChangeAllOrNone(t *testing.T, s persistence.Store) {
	clients, audit, nul := addClients(t, s, 2), newAudit("clients.updated"), "a\x00b"
	_, err := s.UpdateClients(t.Context(), []messages.ClientPatch{
		patchTo(clients[0].ID, "Changed", "", "", ""), {ID: clients[1].ID, Notes: &nul},
	}, audit)
	wantCode(t, err, messages.CodeBadRequest)
	wantFoundClients(t, s, []messages.ClientID{clients[0].ID, clients[1].ID}, nil, clients...)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
}

func clientChangeOnCall(t *testing.T, s persistence.Store) {
	c, notes := addClient(t, s), "said so just now"
	call := start(t, s, addUser(t, s), c)
	got := update(t, s, messages.ClientPatch{ID: c.ID, Notes: &notes})
	wantEqual(t, "notes", got.Notes, notes)
	wantHeld(t, s, call)
}

// clientChangeConcurrent: of two who change one client at once, neither undoes
// what the other did.
func clientChangeConcurrent(t *testing.T, s persistence.Store) {
	for range 10 {
		c := addClient(t, s)
		name, email, notes := "New Name", "new@example.org", "new notes"
		patches := []messages.ClientPatch{
			{ID: c.ID, Name: &name}, {ID: c.ID, Email: &email}, {ID: c.ID, Notes: &notes},
			{ID: c.ID, Attributes: []byte(`{"a":1}`), Merge: true}, {ID: c.ID, Attributes: []byte(`{"b":2}`), Merge: true},
		}
		errs := make([]error, len(patches))
		atOnce(len(patches), func(i int) { _, errs[i] = s.UpdateClients(t.Context(), patches[i:i+1]) })
		for _, err := range errs {
			noError(t, err)
		}
		got, err := s.ClientByID(t.Context(), c.ID)
		noError(t, err)
		want := c
		want.Name, want.Email, want.Notes, want.UpdatedAt = name, email, notes, got.UpdatedAt
		want.Attributes = []byte(`{"a":1,"b":2}`)
		wantClient(t, got, want)
	}
}

func clientChangeCrossing(t *testing.T, s persistence.Store) {
	clients := addClients(t, s, 50)
	const n = 6
	errs := make([]error, n)
	atOnce(n, func(i int) {
		var patches []messages.ClientPatch
		for _, c := range clients {
			patches = append(patches, messages.ClientPatch{ID: c.ID, Attributes: fmt.Appendf(nil, `{"by %d":true}`, i), Merge: true})
		}
		if i%2 == 1 {
			slices.Reverse(patches)
		}
		_, errs[i] = s.UpdateClients(t.Context(), patches)
	})
	for _, err := range errs {
		noError(t, err)
	}
	for _, c := range clients {
		got, err := s.ClientByID(t.Context(), c.ID)
		noError(t, err)
		wantEqual(t, "attributes", strings.Count(string(got.Attributes), "by "), n)
	}
}
