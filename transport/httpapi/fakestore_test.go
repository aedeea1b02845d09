package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
)

// fakeStore keeps the contract of the store in memory. Like Postgres it fails
// on text that it cannot keep, so that a test notices what was let through.
type fakeStore struct {
	now func() time.Time

	mu       sync.Mutex
	fault    error // returned by everything while set
	hold     chan struct{}
	lookups  int // PrincipalByToken
	accounts map[messages.UserID]messages.Account
	tokens   map[[32]byte]messages.Principal
	clients  map[messages.ClientID]messages.Client
	logs     []messages.CallLog
	claims   map[messages.UserID]messages.HeldClaim
	audits   []messages.Audit
	patches  []messages.ClientPatch // that UpdateClients was given
	once     map[string]madeClient  // by caller and key
}

func newFakeStore(now func() time.Time) *fakeStore {
	return &fakeStore{now: now, accounts: map[messages.UserID]messages.Account{},
		tokens: map[[32]byte]messages.Principal{}, clients: map[messages.ClientID]messages.Client{},
		claims: map[messages.UserID]messages.HeldClaim{}}
}

// enter locks, and fails when the test wants it to.
func (s *fakeStore) enter(ctx context.Context) (leave func(), err error) {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	if s.fault != nil {
		defer s.mu.Unlock()
		return nil, s.fault
	}
	return s.mu.Unlock, nil
}

func (s *fakeStore) setFault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

var errText = errors.New("fake store: invalid byte sequence for encoding UTF8")

func keepable(texts ...string) error {
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return fmt.Errorf("%w: %q", errText, text)
		}
	}
	return nil
}

func coded(code messages.Code) error { return &messages.Error{Code: code} }

func (s *fakeStore) UserByID(ctx context.Context, id messages.UserID) (messages.Account, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return messages.Account{}, err
	}
	defer leave()
	account, ok := s.accounts[id]
	if !ok {
		return account, coded(messages.CodeUserNotFound)
	}
	return account, nil
}

func (s *fakeStore) UserByEmail(ctx context.Context, email string) (messages.Account, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return messages.Account{}, err
	}
	defer leave()
	if err := keepable(email); err != nil {
		return messages.Account{}, err
	}
	for _, account := range s.accounts {
		if strings.EqualFold(account.Email, email) {
			return account, nil
		}
	}
	return messages.Account{}, coded(messages.CodeUserNotFound)
}

func (s *fakeStore) UsersByEmail(ctx context.Context, emails []string) (map[string]messages.UserID, error) {
	found := map[string]messages.UserID{}
	for _, email := range emails {
		account, err := s.UserByEmail(ctx, email)
		if messages.CodeOf(err) == messages.CodeUserNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[email] = account.ID
	}
	return found, nil
}

func (s *fakeStore) ClientsByPhone(ctx context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	matches := make([]messages.PhoneMatch, len(queries))
	for i, q := range queries {
		if err := keepable(q.Phone); err != nil {
			return nil, err
		}
		m := &matches[i]
		for id, client := range s.clients {
			if client.Phone == q.Phone {
				m.Clients, m.Client = m.Clients+1, id
			}
		}
		if m.Clients > 1 {
			m.Client = s.claims[q.User].ClientID
		}
	}
	return matches, nil
}

func (s *fakeStore) UserStatuses(ctx context.Context, onCallOnly bool) ([]messages.UserStatus, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var all []messages.UserStatus
	for id, account := range s.accounts {
		status := messages.UserStatus{User: account.User}
		if claim, on := s.claims[id]; on {
			client := s.clients[claim.ClientID]
			status.IsOnCall, status.CallStartedAt, status.CurrentCallClientID = true, &claim.StartedAt, &claim.ClientID
			status.CurrentCallID = &claim.ID
			status.Client = &messages.ClientSummary{ID: client.ID, Name: client.Name, Phone: client.Phone, Email: client.Email}
		}
		if !account.Disabled && (status.IsOnCall || !onCallOnly) {
			all = append(all, status)
		}
	}
	slices.SortFunc(all, func(a, b messages.UserStatus) int { return cmp.Compare(a.FirstName, b.FirstName) })
	return all, nil
}

func (s *fakeStore) AddSession(ctx context.Context, digest [32]byte, user messages.UserID, expires time.Time) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.tokens[digest] = messages.Principal{User: s.accounts[user].User, ExpiresAt: expires}
	return nil
}

func (s *fakeStore) PrincipalByToken(ctx context.Context, digest [32]byte) (messages.Principal, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return messages.Principal{}, err
	}
	defer leave()
	s.lookups++
	who, ok := s.tokens[digest]
	if !ok || (!who.ExpiresAt.IsZero() && !s.now().Before(who.ExpiresAt)) || s.accounts[who.User.ID].Disabled {
		return messages.Principal{}, coded(messages.CodeUnauthenticated)
	}
	return who, nil
}

func (s *fakeStore) RevokeSession(ctx context.Context, digest [32]byte) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	delete(s.tokens, digest)
	return nil
}

func (s *fakeStore) ListClients(ctx context.Context, q messages.ClientQuery) ([]messages.Client, int, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	if err := keepable(q.Search); err != nil {
		return nil, 0, err
	}
	var found []messages.Client
	for _, c := range s.clients {
		if strings.Contains(strings.ToLower(c.Name+" "+c.Phone+" "+c.Email), strings.ToLower(q.Search)) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b messages.Client) int { return cmp.Compare(a.Name, b.Name) })
	page := pageOf(found, q.Page, q.Limit)
	for _, c := range page {
		if err := q.Room.For(&c); err != nil {
			return nil, 0, err
		}
	}
	return page, len(found), nil
}

func pageOf[T any](all []T, page, limit int) []T {
	offset := (page - 1) * limit
	if offset < 0 || offset > 1<<31 || limit < 1 || limit > 1000 {
		panic("fake store: paging out of the contract")
	}
	return all[min(offset, len(all)):min(offset+limit, len(all))]
}

func (s *fakeStore) ClientByID(ctx context.Context, id messages.ClientID) (messages.Client, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return messages.Client{}, err
	}
	defer leave()
	c, ok := s.clients[id]
	if !ok {
		return c, coded(messages.CodeClientNotFound)
	}
	return c, nil
}

func (s *fakeStore) AddClients(ctx context.Context, clients []messages.Client, audit ...messages.Audit) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for i := range clients {
		c := &clients[i]
		if err := keepableClient(*c); err != nil {
			return err
		}
		c.CreatedAt, c.UpdatedAt = s.now(), s.now()
		s.clients[c.ID] = *c
	}
	s.audits = append(s.audits, audit...)
	return nil
}

func (s *fakeStore) AddClientOnce(ctx context.Context, c *messages.Client, key messages.Key) error {
	s.mu.Lock()
	name := key.Caller + " " + key.Value
	first, found := s.once[name]
	s.mu.Unlock()
	switch {
	case found && first.key.Digest != key.Digest:
		return coded(messages.CodeKeyReused)
	case found:
		*c = first.client
		return nil
	}
	made := []messages.Client{*c}
	if err := s.AddClients(ctx, made); err != nil {
		return err
	}
	*c = made[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.once == nil {
		s.once = map[string]madeClient{}
	}
	s.once[name] = madeClient{key, *c}
	return nil
}

// madeClient is a client that was made with a key.
type madeClient struct {
	key    messages.Key
	client messages.Client
}

func keepableClient(c messages.Client) error {
	var object map[string]any
	if err := json.Unmarshal(c.Attributes, &object); err != nil {
		return fmt.Errorf("fake store: jsonb: %q: %w", c.Attributes, err)
	}
	// jsonb keeps no NUL and no half of a surrogate pair, however written.
	escapes := strings.ReplaceAll(string(c.Attributes), `\\`, "")
	if strings.Contains(escapes, `\ud`) || strings.Contains(escapes, `\u0000`) {
		return fmt.Errorf("%w: %q", errText, c.Attributes)
	}
	return keepable(c.Name, c.Phone, c.Email, c.Notes, string(c.Attributes))
}

func (s *fakeStore) UpdateClients(ctx context.Context, patches []messages.ClientPatch, audit ...messages.Audit) ([]messages.Client, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	s.patches = append(s.patches, patches...)
	var changed []messages.Client
	for _, p := range patches {
		c, ok := s.clients[p.ID]
		if !ok {
			continue
		}
		for to, from := range map[*string]*string{&c.Name: p.Name, &c.Phone: p.Phone, &c.Email: p.Email, &c.Notes: p.Notes} {
			if from != nil {
				*to = *from
			}
		}
		if p.Attributes != nil {
			c.Attributes = p.Attributes
		}
		if err := keepableClient(c); err != nil {
			return nil, err
		}
		c.UpdatedAt = s.now()
		changed = append(changed, c)
	}
	for _, c := range changed {
		s.clients[c.ID] = c
	}
	s.audits = append(s.audits, audit...)
	return changed, nil
}

func (s *fakeStore) DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := s.clients[id]; !ok {
		return coded(messages.CodeClientNotFound)
	}
	for _, claim := range s.claims {
		if claim.ClientID == id {
			return coded(messages.CodeClientBeingCalled)
		}
	}
	delete(s.clients, id)
	s.audits = append(s.audits, audit)
	return nil
}

func (s *fakeStore) ListLogs(ctx context.Context, q messages.LogQuery) ([]messages.CallLog, int, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	var found []messages.CallLog
	for _, l := range slices.Backward(s.logs) {
		if (q.UserID.IsZero() || q.UserID == l.UserID) && (q.ClientID.IsZero() || q.ClientID == l.ClientID) &&
			(q.Status == "" || q.Status == l.CallStatus) {
			user, client := s.accounts[l.UserID], s.clients[l.ClientID]
			l.User = &messages.UserSummary{ID: l.UserID, FirstName: user.FirstName, LastName: user.LastName, Email: user.Email}
			l.Client = &messages.ClientSummary{ID: client.ID, Name: client.Name, Phone: client.Phone, Email: client.Email}
			found = append(found, l)
		}
	}
	page := pageOf(found, q.Page, q.Limit)
	for _, l := range page {
		if err := q.Room.ForLog(&l); err != nil {
			return nil, 0, err
		}
	}
	return page, len(found), nil
}

func (s *fakeStore) StartedBefore(ctx context.Context, age time.Duration, limit int) ([]messages.HeldClaim, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var found []messages.HeldClaim
	for _, claim := range s.claims {
		if claim.StartedAt.Before(s.now().Add(-age)) {
			found = append(found, claim)
		}
	}
	slices.SortFunc(found, func(a, b messages.HeldClaim) int { return a.StartedAt.Compare(b.StartedAt) })
	return found[:min(limit, len(found))], nil
}
