package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

const (
	benchMark      = "dibs bench"
	benchDomain    = "@bench.dibs.invalid" // nobody's (RFC 2606)
	benchAtOnce    = 8                     // requests while preparing
	clearTimeout   = 2 * time.Minute
	prepareTimeout = 30 * time.Second // of one request
	askAgainFor    = 20 * time.Second
)

// benchStage is what a run needs, and what is taken down after it.
type benchStage struct {
	c     *cli
	url   string
	key   string // of an administrator
	users []string
	http  *http.Client

	clients []string
	keyID   uuid.UUID         // zero: the key is not ours
	ours    []messages.UserID // accounts of agents
}

// benchStage prepares. What it returns has to be cleared, also after an error.
func (c *cli) benchStage(ctx context.Context, cfg *benchConfig) (*benchStage, error) {
	s := &benchStage{c: c, url: cfg.URL, key: cfg.Key, http: &http.Client{Timeout: prepareTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: benchAtOnce}}}
	if err := s.ask(ctx, http.MethodGet, "/healthz", nil, nil); err != nil {
		return nil, &exitError{exitUnavailable, fmt.Errorf("there is no dibs server at %s: %w", cfg.URL, err)}
	}
	prepare := s.ownPeople
	if cfg.Existing {
		prepare = s.existingPeople
	}
	if err := prepare(ctx, cfg.Plan.Agents); err != nil {
		return s, err
	}
	if !cfg.Existing {
		if err := s.endCalls(ctx); err != nil {
			return s, err
		}
	}
	return s, s.makeClients(ctx, cfg.Plan.Clients)
}

// ownPeople makes a key, and an account for each agent; those of an earlier run
// are used again.
func (s *benchStage) ownPeople(ctx context.Context, agents int) error {
	return s.withStore(ctx, func(store persistence.Store) error {
		key, digest := auth.NewAPIKey()
		id := uuid.New()
		named := messages.APIKey{ID: id, Name: benchMark, Role: messages.RoleAdmin}
		if err := store.AddAPIKey(ctx, digest, named, s.c.audit("api_key.created", "key:"+id.String(), nil)); err != nil {
			return err
		}
		s.key, s.keyID = key, id
		known, err := store.ListUsers(ctx)
		if err != nil {
			return err
		}
		accounts := make(map[string]messages.Account, len(known))
		for _, a := range known {
			accounts[a.Email] = a
		}
		var missing []messages.NewUser
		for n := range agents {
			email := fmt.Sprintf("agent-%d%s", n+1, benchDomain)
			a, ok := accounts[email]
			if !ok {
				a.User = messages.User{ID: messages.UserID{UUID: uuid.New()}, FirstName: "Agent", LastName: fmt.Sprint(n + 1), Email: email, Role: messages.RoleUser}
				missing = append(missing, messages.NewUser{User: a.User})
			} else if a.Disabled {
				if err := store.EnableUser(ctx, a.ID, s.c.audit("user.enabled", userSubject(a.ID), nil)); err != nil {
					return err
				}
			}
			s.ours, s.users = append(s.ours, a.ID), append(s.users, a.ID.String())
		}
		if len(missing) == 0 {
			return nil
		}
		_, err = store.AddUsers(ctx, missing, s.c.audit("user.added", benchMark, map[string]any{"users": len(missing)}))
		return err
	})
}

// withStore opens the store for a moment: SQLite has one writer, which is to be
// the server.
func (s *benchStage) withStore(ctx context.Context, f func(persistence.Store) error) (err error) {
	cfg := s.c.where
	cfg.Logger = slog.New(slog.NewTextHandler(s.c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := s.c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(store)
}

// existingPeople takes people who are on no call.
func (s *benchStage) existingPeople(ctx context.Context, agents int) error {
	var list struct {
		Users []messages.UserStatus `json:"users"`
	}
	if err := s.ask(ctx, http.MethodGet, "/api/user-status", nil, &list); err != nil {
		return err
	}
	for _, u := range list.Users {
		if !u.IsOnCall && len(s.users) < agents {
			s.users = append(s.users, u.ID.String())
		}
	}
	if len(s.users) < agents {
		return refusef("only %d people are on no call, and --agents asks for %d", len(s.users), agents)
	}
	return nil
}

// endCalls ends what a bench that was killed has left behind.
func (s *benchStage) endCalls(ctx context.Context) error {
	return eachAtOnce(len(s.users), func(i int) error {
		return s.ask(ctx, http.MethodPut, "/api/user-status", map[string]any{"action": "end_call", "user_id": s.users[i]}, nil)
	})
}

func (s *benchStage) makeClients(ctx context.Context, n int) error {
	var mu sync.Mutex
	return eachAtOnce(n, func(i int) error {
		var made struct {
			Client messages.Client `json:"client"`
		}
		in := map[string]any{"name": fmt.Sprintf("%s %d", benchMark, i+1), "notes": "Made by dibs bench, which deletes it when it is done."}
		if err := s.ask(ctx, http.MethodPost, "/api/clients", in, &made); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		s.clients = append(s.clients, made.Client.ID.String())
		return nil
	})
}

// clear takes down what was prepared, as far as it can.
func (s *benchStage) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	defer s.http.CloseIdleConnections()
	err := eachAtOnce(len(s.clients), func(i int) error {
		return s.ask(ctx, http.MethodDelete, "/api/clients/"+s.clients[i], nil, nil)
	})
	if err != nil {
		err = fmt.Errorf("clients named %q may be left: %w", benchMark, err)
	}
	if s.keyID == uuid.Nil {
		return err
	}
	return errors.Join(err, s.withStore(ctx, func(store persistence.Store) (err error) {
		for _, id := range s.ours {
			err = errors.Join(err, store.DisableUser(ctx, id, s.c.audit("user.disabled", userSubject(id), nil)))
		}
		return errors.Join(err, store.RevokeAPIKey(ctx, s.keyID, s.c.audit("api_key.revoked", "key:"+s.keyID.String(), nil)))
	}))
}

// ask sends one request to the server; an answer that is no success is an error. While
// the server says that it did nothing because it cannot now (its disk stands still, it has
// too much to do) it is asked again for a while: what is not taken down is left behind.
func (s *benchStage) ask(ctx context.Context, method, path string, in, out any) error {
	for end := time.Now().Add(askAgainFor); ; {
		refused, err := s.askOnce(ctx, method, path, in, out)
		notNow := refused == messages.CodeUnavailable || refused == messages.CodeOverloaded
		if !notNow || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(time.Second / 4):
		case <-ctx.Done():
			return err
		}
	}
}

// askOnce is ask without another try. It returns the code of a refusal, too.
func (s *benchStage) askOnce(ctx context.Context, method, path string, in, out any) (messages.Code, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return "", err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return "", err
	}
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return "", &exitError{exitUnavailable, err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return "", err
	}
	if resp.StatusCode/100 != 2 {
		var refusal struct {
			Error string
			Code  messages.Code
		}
		_ = json.Unmarshal(text, &refusal) // something in between may have answered
		return refusal.Code, fmt.Errorf("%s %s: %s %s", method, path, resp.Status, refusal.Error)
	}
	if out == nil {
		return "", nil
	}
	return "", json.Unmarshal(text, out)
}

// eachAtOnce calls f for 0 to n-1, some at a time, until one fails.
func eachAtOnce(n int, f func(i int) error) error {
	errs := make([]error, benchAtOnce)
	var all sync.WaitGroup
	for w := range benchAtOnce {
		all.Go(func() {
			for i := w; i < n && errs[w] == nil; i += benchAtOnce {
				errs[w] = f(i)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
