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
		{"An unknown client is CodeClientNotFound", clientUnknown},
		{"DeleteClient removes and writes the audit", clientDelete},
		{"DeleteClient is refused while the client is being called", clientDeleteOnCall},
		{"EachClient visits all in the order of their ids", clientEach},
		{"EachClient stops when its function fails", clientEachFails},
		{"EachClient lets its function read and write", clientEachWrites},
		{"A thousand clients are added at once", clientAddMany},
		{"AddClients writes the audit if it adds", clientAddAudit},
	}
}

func clientAddAudit(t *testing.T, s persistence.Store) {
	audit := newAudit("clients.imported")
	noError(t, s.AddClients(t.Context(), nil, audit))
	c := newClient("Ada")
	noError(t, s.AddClients(t.Context(), []messages.Client{c}, audit))
	if err := s.AddClients(t.Context(), []messages.Client{newClient("Fresh"), c}, audit); err == nil {
		t.Fatal("an id was given twice")
	}
	wantOneAudit(t, s, audit)
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
		other := []byte(`{"now":"other"}`)
		got = update(t, s, messages.ClientPatch{ID: c.ID, Attributes: other})
		wantJSON(t, got.Attributes, other)
	}
}

func clientBadAttributes(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	for _, attributes := range []string{`{`, `{"a":}`, `nonsense`, `{} {}`, `[1]`, `"text"`, `7`} {
		bad := newClient("Bad")
		bad.Attributes = []byte(attributes)
		wantCode(t, s.AddClients(t.Context(), []messages.Client{bad}), messages.CodeBadRequest)
		for _, merge := range []bool{false, true} {
			_, err := s.UpdateClients(t.Context(), []messages.ClientPatch{{ID: c.ID, Attributes: bad.Attributes, Merge: merge}})
			wantCode(t, err, messages.CodeBadRequest)
		}
	}
	got, err := s.ClientByID(t.Context(), c.ID)
	noError(t, err)
	wantClient(t, got, c)
}

func clientUnknown(t *testing.T, s persistence.Store) {
	_, err := s.ClientByID(t.Context(), newClientID())
	wantCode(t, err, messages.CodeClientNotFound)
	audit := newAudit("client.deleted")
	wantCode(t, s.DeleteClient(t.Context(), newClientID(), audit), messages.CodeClientNotFound)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
}

func clientDelete(t *testing.T, s persistence.Store) {
	c, audit := addClient(t, s), newAudit("client.deleted")
	end(t, s, start(t, s, addUser(t, s), c))
	noError(t, s.DeleteClient(t.Context(), c.ID, audit))
	wantOneAudit(t, s, audit)
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
