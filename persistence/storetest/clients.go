package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func clientPromises() []promise {
	return []promise{
		{"AddClients keeps what it is given and sets ids and times", clientAdd},
		{"AddClients adds all or none", clientAddAllOrNone},
		{"Attributes are preserved as JSON", clientAttributes},
		{"Attributes that are no JSON object are CodeBadRequest", clientBadAttributes},
		{"UpdateClient replaces and returns the client as it is now", clientUpdate},
		{"A client that is being called can be updated", clientUpdateOnCall},
		{"An unknown client is CodeClientNotFound", clientUnknown},
		{"DeleteClient removes and writes the audit", clientDelete},
		{"DeleteClient is refused while the client is being called", clientDeleteOnCall},
		{"EachClient visits all in the order of their ids", clientEach},
		{"EachClient stops when its function fails", clientEachFails},
		{"EachClient lets its function read and write", clientEachWrites},
		{"PhonesInUse returns the numbers that clients have", clientPhonesInUse},
		{"A thousand clients are added at once", clientAddMany},
	}
}

func clientAdd(t *testing.T, s persistence.Store) {
	noError(t, s.AddClients(t.Context(), nil))
	clients := []messages.Client{newClient("Ada"), {Name: "Only a name"}, newClient("Ada")}
	clients[0].Notes = "line one\nline two"
	given := slices.Clone(clients)
	noError(t, s.AddClients(t.Context(), clients))
	for i, c := range clients {
		if c.ID.IsZero() || (!given[i].ID.IsZero() && c.ID != given[i].ID) {
			t.Fatalf("client %d has id %s, was given %s", i, c.ID, given[i].ID)
		}
		if !storedTime(c.CreatedAt) || !c.UpdatedAt.Equal(c.CreatedAt) {
			t.Fatalf("client %d was created at %v and updated at %v", i, c.CreatedAt, c.UpdatedAt)
		}
		got, err := s.ClientByID(t.Context(), c.ID)
		noError(t, err)
		wantClient(t, got, c)
	}
}

// wantClient compares clients, their attributes as JSON.
func wantClient(t *testing.T, got, want messages.Client) {
	t.Helper()
	wantJSON(t, got.Attributes, want.Attributes)
	got.Attributes, want.Attributes = nil, nil
	wantEqual(t, "client", got, want)
}

func clientAddAllOrNone(t *testing.T, s persistence.Store) {
	old := addClient(t, s)
	fresh := newClient("Fresh")
	if err := s.AddClients(t.Context(), []messages.Client{fresh, old}); err == nil {
		t.Fatal("an id was given twice")
	}
	_, err := s.ClientByID(t.Context(), fresh.ID)
	wantCode(t, err, messages.CodeClientNotFound)
	_, total, err := s.ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 10})
	noError(t, err)
	wantEqual(t, "clients", total, 1)
}

func clientAttributes(t *testing.T, s persistence.Store) {
	for _, attributes := range []string{
		``, `{}`, `{"a":{"b":[1,2.5,-3e2,null,true,"x"]},"a b":"c"}`,
		`{"big":12345678901234567890123,"tiny":0.000001234567890123}`,
		`{"quote":"\"","emoji":"🎯","escaped":"\u00e9\n","html":"<b>&</b>"}`,
	} {
		c := newClient("Attr")
		c.Attributes = []byte(attributes)
		clients := []messages.Client{c}
		noError(t, s.AddClients(t.Context(), clients))
		got, err := s.ClientByID(t.Context(), clients[0].ID)
		noError(t, err)
		if attributes == "" {
			attributes = "{}"
		}
		wantJSON(t, got.Attributes, []byte(attributes))
		c.Attributes = []byte(`{"now":"other"}`)
		got, err = s.UpdateClient(t.Context(), c)
		noError(t, err)
		wantJSON(t, got.Attributes, c.Attributes)
	}
}

func clientBadAttributes(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	for _, attributes := range []string{`{`, `{"a":}`, `nonsense`, `{} {}`, `[1]`, `"text"`, `7`} {
		bad := newClient("Bad")
		bad.Attributes = []byte(attributes)
		wantCode(t, s.AddClients(t.Context(), []messages.Client{bad}), messages.CodeBadRequest)
		bad.ID = c.ID
		_, err := s.UpdateClient(t.Context(), bad)
		wantCode(t, err, messages.CodeBadRequest)
	}
	got, err := s.ClientByID(t.Context(), c.ID)
	noError(t, err)
	wantClient(t, got, c)
}

func clientUpdate(t *testing.T, s persistence.Store) {
	c, other := addClient(t, s), addClient(t, s)
	change := messages.Client{
		ID: c.ID, Name: "New Name", Phone: "+4930123456", Email: "new@example.org",
		Notes: "new notes", Attributes: []byte(`{"new":true}`),
	}
	got, err := s.UpdateClient(t.Context(), change)
	noError(t, err)
	if !storedTime(got.UpdatedAt) || !got.UpdatedAt.After(c.UpdatedAt) {
		t.Fatalf("updated at %v, before at %v", got.UpdatedAt, c.UpdatedAt)
	}
	want := change
	want.CreatedAt, want.UpdatedAt = c.CreatedAt, got.UpdatedAt
	wantClient(t, got, want)
	read, err := s.ClientByID(t.Context(), c.ID)
	noError(t, err)
	wantClient(t, read, want)
	read, err = s.ClientByID(t.Context(), other.ID)
	noError(t, err)
	wantClient(t, read, other)
}

func clientUpdateOnCall(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	call := start(t, s, addUser(t, s), c)
	c.Notes = "said so just now"
	got, err := s.UpdateClient(t.Context(), c)
	noError(t, err)
	wantEqual(t, "notes", got.Notes, c.Notes)
	wantHeld(t, s, call)
}

func clientUnknown(t *testing.T, s persistence.Store) {
	_, err := s.ClientByID(t.Context(), newClientID())
	wantCode(t, err, messages.CodeClientNotFound)
	_, err = s.UpdateClient(t.Context(), newClient("Nobody"))
	wantCode(t, err, messages.CodeClientNotFound)
	audit := newAudit("client.deleted")
	wantCode(t, s.DeleteClient(t.Context(), newClientID(), audit), messages.CodeClientNotFound)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
}

func clientDelete(t *testing.T, s persistence.Store) {
	c, audit := addClient(t, s), newAudit("client.deleted")
	end(t, s, start(t, s, addUser(t, s), c))
	noError(t, s.DeleteClient(t.Context(), c.ID, audit))
	trail := auditOf(t, s, audit.Subject)
	if len(trail) != 1 {
		t.Fatalf("%d entries, want 1", len(trail))
	}
	wantAudit(t, trail[0], audit)
	_, err := s.ClientByID(t.Context(), c.ID)
	wantCode(t, err, messages.CodeClientNotFound)
	wantCode(t, s.DeleteClient(t.Context(), c.ID, audit), messages.CodeClientNotFound)
	for _, search := range []string{"", c.Name} {
		_, total, err := s.ListClients(t.Context(), messages.ClientQuery{Search: search, Page: 1, Limit: 10})
		noError(t, err)
		wantEqual(t, "clients", total, 0)
	}
}

func clientDeleteOnCall(t *testing.T, s persistence.Store) {
	c, audit := addClient(t, s), newAudit("client.deleted")
	call := start(t, s, addUser(t, s), c)
	wantCode(t, s.DeleteClient(t.Context(), c.ID, audit), messages.CodeClientBeingCalled)
	wantHeld(t, s, call)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
	end(t, s, call)
	noError(t, s.DeleteClient(t.Context(), c.ID, audit))
}

func clientEach(t *testing.T, s persistence.Store) {
	want := map[messages.ClientID]messages.Client{}
	for range 4 {
		for _, c := range addClients(t, s, 700) {
			want[c.ID] = c
		}
	}
	last := ""
	noError(t, s.EachClient(t.Context(), func(c messages.Client) error {
		if c.ID.String() <= last {
			return fmt.Errorf("%s comes after %s", c.ID, last)
		}
		last = c.ID.String()
		wantClient(t, c, want[c.ID])
		delete(want, c.ID)
		return nil
	}))
	wantEqual(t, "clients not visited", len(want), 0)
}

func clientEachFails(t *testing.T, s persistence.Store) {
	addClients(t, s, 5)
	stop, visited := errors.New("enough"), 0
	err := s.EachClient(t.Context(), func(messages.Client) error {
		if visited++; visited == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatalf("EachClient returned %v", err)
	}
	wantEqual(t, "clients visited", visited, 3)
}

func clientEachWrites(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	addClients(t, s, 5)
	visited := 0
	noError(t, s.EachClient(t.Context(), func(c messages.Client) error {
		visited++
		read, err := s.ClientByID(t.Context(), c.ID)
		noError(t, err)
		end(t, s, start(t, s, u, read))
		return nil
	}))
	wantEqual(t, "clients visited", visited, 5)
}

func clientPhonesInUse(t *testing.T, s persistence.Store) {
	clients := []messages.Client{newClient("a"), newClient("b"), newClient("c")}
	clients[0].Phone, clients[1].Phone, clients[2].Phone = "+14155550111", "+14155550111", "+493012345"
	noError(t, s.AddClients(t.Context(), clients))
	got, err := s.PhonesInUse(t.Context(), []string{"+14155550112", "+493012345", "+1415555011", "+14155550111", "%"})
	noError(t, err)
	slices.Sort(got)
	wantEqual(t, "numbers", slices.Compact(got), []string{"+14155550111", "+493012345"})
	got, err = s.PhonesInUse(t.Context(), nil)
	noError(t, err)
	wantEqual(t, "numbers of none", len(got), 0)
}

func clientAddMany(t *testing.T, s persistence.Store) {
	clients := addClients(t, s, 1000)
	_, total, err := s.ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 1})
	noError(t, err)
	wantEqual(t, "clients", total, 1000)
	clients[0].ID, clients[999].ID = newClientID(), newClientID()
	if err := s.AddClients(t.Context(), clients); err == nil {
		t.Fatal("998 ids were given twice")
	}
	_, total, err = s.ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 1})
	noError(t, err)
	wantEqual(t, "clients", total, 1000)
}
