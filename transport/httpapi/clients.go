package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/dibs-calls/dibs/messages"
)

// clientRequest is a client to be made or changed. An absent field, or null,
// is left as it is.
type clientRequest struct {
	Name       *string         `json:"name"`
	Phone      *string         `json:"phone"`
	Email      *string         `json:"email"`
	Notes      *string         `json:"notes"`
	Attributes json.RawMessage `json:"attributes"`
}

type clientAnswer struct {
	Client messages.Client `json:"client"`
}

func (a *API) listClients(ctx context.Context, x *exchange) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	page, limit, err := paging(q)
	if err != nil {
		return err
	}
	search, err := text("search", q.Get("search"), maxSearch)
	if err != nil {
		return err
	}
	room, err := a.startList(x)
	if err != nil {
		return err
	}
	clients, total, err := a.Store.ListClients(ctx, messages.ClientQuery{Search: search, Page: page, Limit: limit, Room: room.take})
	if err != nil {
		return err
	}
	return respondPage(a, x, "clients", clients, total, page, limit)
}

func (a *API) addClient(ctx context.Context, x *exchange) error {
	p, err := a.clientPatch(x)
	if err != nil {
		return err
	}
	if p.Name == nil {
		return badRequest("name is required.")
	}
	client := messages.Client{ID: messages.ClientID{UUID: newID()}, Name: *p.Name, Attributes: json.RawMessage("{}"),
		Phone: given(p.Phone), Email: given(p.Email), Notes: given(p.Notes)}
	if p.Attributes != nil {
		client.Attributes = p.Attributes
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	if err := a.startSaving(x); err != nil {
		return err
	}
	if key != nil {
		if err := a.Store.AddClientOnce(ctx, &client, *key); err != nil {
			return err
		}
		return a.respondClient(x, http.StatusCreated, client)
	}
	added := []messages.Client{client}
	if err := a.Store.AddClients(ctx, added); err != nil {
		return err
	}
	return a.respondClient(x, http.StatusCreated, added[0])
}

func (a *API) getClient(ctx context.Context, x *exchange) error {
	id, err := x.pathID("id", messages.CodeClientNotFound)
	if err != nil {
		return err
	}
	client, err := a.Store.ClientByID(ctx, messages.ClientID{UUID: id})
	if err != nil {
		return err
	}
	return a.respondClient(x, http.StatusOK, client)
}

// given is a field that may be absent.
func given(field *string) string {
	if field == nil {
		return ""
	}
	return *field
}

// updateClient replaces the fields that were given. Of two changes at once to
// one field the later counts; changes to different fields both do.
func (a *API) updateClient(ctx context.Context, x *exchange) error {
	id, err := x.pathID("id", messages.CodeClientNotFound)
	if err != nil {
		return err
	}
	p, err := a.clientPatch(x)
	if err != nil {
		return err
	}
	if err := a.startSaving(x); err != nil {
		return err
	}
	p.ID.UUID = id
	changed, err := a.Store.UpdateClients(ctx, []messages.ClientPatch{p})
	if err != nil {
		return err
	}
	if len(changed) == 0 {
		return &problem{Code: messages.CodeClientNotFound}
	}
	return a.respondClient(x, http.StatusOK, changed[0])
}

func (a *API) deleteClient(ctx context.Context, x *exchange) error {
	id, err := x.pathID("id", messages.CodeClientNotFound)
	if err != nil {
		return err
	}
	audit := messages.Audit{By: x.who.Caller(), Action: "client.deleted", Subject: "client:" + id.String()}
	err = a.Store.DeleteClient(ctx, messages.ClientID{UUID: id}, audit)
	if messages.CodeOf(err) == messages.CodeClientBeingCalled {
		return &problem{Code: messages.CodeClientBeingCalled, Cause: err,
			Sentence: "This client is being called right now and cannot be deleted. Please try again later."}
	}
	if err != nil {
		return err
	}
	return x.respond(http.StatusOK, messageAnswer{"Client deleted successfully"})
}

func (a *API) availability(ctx context.Context, x *exchange) error {
	id, err := x.pathID("id", messages.CodeClientNotFound)
	if err != nil {
		return err
	}
	answer, err := a.desk.Availability(ctx, messages.ClientID{UUID: id})
	if err != nil {
		return err
	}
	return x.respond(http.StatusOK, answer)
}

// clientPatch checks the body, and returns the fields that it gives.
func (a *API) clientPatch(x *exchange) (p messages.ClientPatch, err error) {
	var in clientRequest
	if err := x.decode(&in); err != nil {
		return p, err
	}
	for _, field := range []struct {
		in    *string
		out   **string
		check func(string) (string, error)
	}{
		{in.Name, &p.Name, clientName},
		{in.Phone, &p.Phone, a.phone},
		{in.Email, &p.Email, email},
		{in.Notes, &p.Notes, func(s string) (string, error) { return text("notes", s, maxNotes) }},
	} {
		if field.in == nil {
			continue
		}
		checked, err := field.check(*field.in)
		if err != nil {
			return p, err
		}
		*field.out = &checked
	}
	if len(in.Attributes) > 0 && string(in.Attributes) != "null" {
		p.Attributes, err = attributes(in.Attributes)
	}
	return p, err
}

func clientName(s string) (string, error) {
	name, err := text("name", s, maxBody)
	switch {
	case err != nil:
		return "", err
	case name == "":
		return "", badRequest("name is required.")
	case !messages.NameFits(name):
		return "", badRequest("name is longer than %d characters.", messages.MaxName)
	}
	return name, nil
}
