package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/bench/rivals"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/httpapi"
)

// engine is a rival in the place of dibs' actors.
type engine struct {
	rivals.Rival
	people *directory
}

// StartCall implements [httpapi.Calls].
func (e engine) StartCall(ctx context.Context, cmd messages.StartCall) messages.Answer {
	r, err := e.Start(ctx, cmd.User.UUID, cmd.Client.UUID)
	switch {
	case err != nil:
		return failed(err)
	case r.Outcome == rivals.UserBusy:
		return messages.Answer{Code: messages.CodeUserOnCall}
	case r.Outcome == rivals.ClientBusy:
		return messages.Answer{Code: messages.CodeClientBeingCalled, Caller: e.people.caller(r.Holder)}
	}
	now := time.Now()
	return messages.Answer{Call: &messages.Call{ID: cmd.Call, ClientID: cmd.Client, UserID: cmd.User, StartedAt: now, LeaseExpiresAt: now.Add(rivals.Lease)}}
}

// EndCall implements [httpapi.Calls].
func (e engine) EndCall(ctx context.Context, cmd messages.EndCall) messages.Answer {
	if err := e.End(ctx, cmd.User.UUID); err != nil {
		return failed(err)
	}
	return messages.Answer{}
}

// Availability implements [httpapi.Calls].
func (e engine) Availability(ctx context.Context, client messages.ClientID) messages.Availability {
	holder, err := e.Holder(ctx, client.UUID)
	switch {
	case err != nil:
		return messages.Availability{Code: failed(err).Code}
	case holder == uuid.Nil:
		return messages.Availability{}
	}
	return messages.Availability{Caller: e.people.caller(holder)}
}

// SaveLog implements [httpapi.Calls]; it is not compared.
func (engine) SaveLog(context.Context, messages.SaveLog) messages.Answer {
	return messages.Answer{Code: messages.CodeUnavailable}
}

// RenewCall implements [httpapi.Calls]; it is not compared.
func (engine) RenewCall(context.Context, messages.RenewCall) messages.Answer {
	return messages.Answer{Code: messages.CodeUnavailable}
}

func failed(err error) messages.Answer {
	fmt.Fprintln(os.Stderr, err)
	return messages.Answer{Code: messages.CodeOutcomeUnknown}
}

// directory knows the people of a run from memory, so that no rival pays for
// finding names and keys. What it does not implement is not asked for.
type directory struct {
	httpapi.Store
	digest [32]byte
	users  map[uuid.UUID]messages.User
}

func newDirectory(digest [32]byte, p rivals.People) *directory {
	d := &directory{digest: digest, users: make(map[uuid.UUID]messages.User, len(p.Users))}
	for i, id := range p.Users {
		d.users[id] = userOf(i, id)
	}
	return d
}

func userOf(n int, id uuid.UUID) messages.User {
	return messages.User{
		ID: messages.UserID{UUID: id}, FirstName: rivals.UserName(n),
		Email: fmt.Sprintf("user%d@example.com", n), Role: messages.RoleUser,
	}
}

// PrincipalByToken implements [httpapi.Store].
func (d *directory) PrincipalByToken(_ context.Context, digest [32]byte) (messages.Principal, error) {
	if digest != d.digest {
		return messages.Principal{}, &messages.Error{Code: messages.CodeUnauthenticated}
	}
	return messages.Principal{User: messages.User{Role: messages.RoleService}, KeyID: uuid.UUID{1}}, nil
}

// UserByID implements [httpapi.Store].
func (d *directory) UserByID(_ context.Context, id messages.UserID) (messages.Account, error) {
	u, ok := d.users[id.UUID]
	if !ok {
		return messages.Account{}, &messages.Error{Code: messages.CodeUserNotFound}
	}
	return messages.Account{User: u}, nil
}

// caller is who stands in the way. When they started is not kept by every rival.
func (d *directory) caller(id uuid.UUID) *messages.Caller {
	u := d.users[id]
	return &messages.Caller{ID: messages.UserID{UUID: id}, Name: u.Name(), CallStartedAt: time.Now()}
}

// emptyHandler is the ceiling: dibs' router and its way to find out who asks, and
// an answer that is always the same.
func emptyHandler(digest [32]byte) http.Handler {
	kept, err := lru.New[[32]byte, bool](100_000)
	if err != nil {
		panic(err) // the only error is a size below one
	}
	kept.Add(digest, true)
	answer := func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		digest, ok := auth.Digest(strings.TrimSpace(token))
		if ok = ok && strings.EqualFold(scheme, "Bearer"); ok {
			_, ok = kept.Get(digest)
		}
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // as far as it came, it was read
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}
	mux := chi.NewRouter()
	mux.Put("/api/user-status", answer)
	mux.Get("/api/user-status", answer)
	mux.Get("/api/clients/{id}/availability", answer)
	return mux
}
