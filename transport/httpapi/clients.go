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

type clientsAnswer struct {
	Clients    []messages.Client `json:"clients"`
	TotalCount int               `json:"totalCount"`
	Page       int               `json:"page"`
	Limit      int               `json:"limit"`
	TotalPages int               `json:"totalPages"`
}

type availabilityAnswer struct {
	Available bool             `json:"available"`
	Caller    *messages.Caller `json:"caller"`
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
	clients, total, err := a.Store.ListClients(ctx, messages.ClientQuery{Search: search, Page: page, Limit: limit})
	if err != nil {
		return err
	}
	if clients == nil {
		clients = []messages.Client{}
	}
	return x.respond(http.StatusOK, clientsAnswer{clients, total, page, limit, pages(total, limit)})
}

func (a *API) addClient(ctx context.Context, x *exchange) error {
	client := messages.Client{ID: messages.ClientID{UUID: newID()}, Attributes: json.RawMessage("{}")}
	if err := a.changeClient(x, &client); err != nil {
		return err
	}
	added := []messages.Client{client}
	if err := a.Store.AddClients(ctx, added); err != nil {
		return err
	}
	return x.respond(http.StatusCreated, clientAnswer{added[0]})
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
	return x.respond(http.StatusOK, clientAnswer{client})
}

// updateClient replaces the fields that were given. Of two changes at once to
// one client the later replaces the fields of the earlier.
func (a *API) updateClient(ctx context.Context, x *exchange) error {
	id, err := x.pathID("id", messages.CodeClientNotFound)
	if err != nil {
		return err
	}
	client, err := a.Store.ClientByID(ctx, messages.ClientID{UUID: id})
	if err != nil {
		return asRead(err)
	}
	if err := a.changeClient(x, &client); err != nil {
		return err
	}
	client, err = a.Store.UpdateClient(ctx, client)
	if err != nil {
		return err
	}
	return x.respond(http.StatusOK, clientAnswer{client})
}

func (a *API) deleteClient(ctx context.Context, x *exchange) error {
	id, err := x.pathID("id", messages.CodeClientNotFound)
	if err != nil {
		return err
	}
	audit := messages.Audit{By: x.who.Caller(), Action: "client.deleted", Subject: "client:" + id.String()}
	err = a.Store.DeleteClient(ctx, messages.ClientID{UUID: id}, audit)
	if messages.CodeOf(err) == messages.CodeClientBeingCalled {
		return &problem{Code: messages.CodeClientBeingCalled, cause: err,
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
	found := a.Calls.Availability(ctx, messages.ClientID{UUID: id})
	if found.Code != messages.OK {
		return &problem{Code: found.Code}
	}
	return x.respond(http.StatusOK, availabilityAnswer{found.Caller == nil, found.Caller})
}

// changeClient checks the body and puts the fields that it gives into c.
func (a *API) changeClient(x *exchange, c *messages.Client) error {
	var in clientRequest
	err := x.decode(&in)
	if err != nil {
		return err
	}
	if in.Name != nil {
		if c.Name, err = text("name", *in.Name, maxName); err != nil {
			return err
		}
	}
	if c.Name == "" {
		return badRequest("name is required.")
	}
	if in.Phone != nil {
		if c.Phone, err = a.phone(*in.Phone); err != nil {
			return err
		}
	}
	if in.Email != nil {
		if c.Email, err = email(*in.Email); err != nil {
			return err
		}
	}
	if in.Notes != nil {
		if c.Notes, err = text("notes", *in.Notes, maxNotes); err != nil {
			return err
		}
	}
	if len(in.Attributes) > 0 && string(in.Attributes) != "null" {
		c.Attributes, err = attributes(in.Attributes)
	}
	return err
}
