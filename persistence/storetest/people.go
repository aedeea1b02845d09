package storetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/go-cmp/cmp"
)

func peoplePromises() []promise {
	return []promise{
		{"AddUsers keeps what it is given and makes ids", peopleAdd},
		{"AddUsers adds all or none when an address is taken", peopleEmailTaken},
		{"Addresses are compared without regard to case", peopleEmailCase},
		{"An unknown user is CodeUserNotFound", peopleUnknown},
		{"ListUsers returns everybody by e-mail address", peopleList},
		{"SetPassword replaces the hash", peopleSetPassword},
		{"DisableUser is kept, audited and idempotent", peopleDisable},
		{"EnableUser takes it back, audited and idempotent", peopleEnable},
		{"AddUsers writes the audit if it adds", peopleAddAudit},
		{"UserStatuses shows calls in progress with their clients", peopleStatuses},
		{"UserStatuses is ordered by first name, last name, id", peopleStatusOrder},
		{"UserStatuses leaves out who is disabled", peopleStatusDisabled},
		{"Many add one address at once, one is let in", peopleAddConcurrent},
	}
}

func peopleAdd(t *testing.T, s persistence.Store) {
	none, err := s.AddUsers(t.Context(), nil)
	noError(t, err)
	wantEqual(t, "users made of nothing", len(none), 0)

	people := []messages.NewUser{newUser("Zoë", "O'Neil-Łuk"), newUser("", ""), newUser("Admin", "")}
	people[0].ID = newUserID()
	people[1].PasswordHash = ""
	people[2].Role = messages.RoleAdmin
	users, err := s.AddUsers(t.Context(), people)
	noError(t, err)
	for i, u := range users {
		if u.ID.IsZero() || (i == 0 && u.ID != people[0].ID) {
			t.Fatalf("user %d has id %s", i, u.ID)
		}
		want := people[i].User
		want.ID = u.ID
		wantEqual(t, "user", u, want)
		a, err := s.UserByID(t.Context(), u.ID)
		noError(t, err)
		if !storedTime(a.CreatedAt) {
			t.Fatalf("the account was created at %v", a.CreatedAt)
		}
		wantEqual(t, "account", a, messages.Account{User: u, PasswordHash: people[i].PasswordHash, CreatedAt: a.CreatedAt})
		byEmail, err := s.UserByEmail(t.Context(), u.Email)
		noError(t, err)
		wantEqual(t, "account by address", byEmail, a)
	}
}

func peopleEmailTaken(t *testing.T, s persistence.Store) {
	old := addUser(t, s)
	taken := newUser("Late", "Comer")
	taken.Email = old.Email
	fresh := newUser("Fresh", "One")
	_, err := s.AddUsers(t.Context(), []messages.NewUser{fresh, taken})
	wantCode(t, err, messages.CodeEmailTaken)
	_, err = s.UserByEmail(t.Context(), fresh.Email)
	wantCode(t, err, messages.CodeUserNotFound)

	twin := newUser("Twin", "One")
	twin.Email = strings.ToUpper(fresh.Email)
	_, err = s.AddUsers(t.Context(), []messages.NewUser{fresh, twin})
	wantCode(t, err, messages.CodeEmailTaken)
	all, err := s.ListUsers(t.Context())
	noError(t, err)
	wantEqual(t, "users", len(all), 1)
}

func peopleEmailCase(t *testing.T, s persistence.Store) {
	person := newUser("Ana", "Case")
	person.Email = "Ana.Case@Example.COM"
	users, err := s.AddUsers(t.Context(), []messages.NewUser{person})
	noError(t, err)
	wantEqual(t, "address as given", users[0].Email, person.Email)
	a, err := s.UserByEmail(t.Context(), "aNA.case@example.com")
	noError(t, err)
	wantEqual(t, "user", a.User, users[0])
	again := newUser("Other", "Case")
	again.Email = "ana.case@example.com"
	_, err = s.AddUsers(t.Context(), []messages.NewUser{again})
	wantCode(t, err, messages.CodeEmailTaken)
	// Nothing in an address is a pattern.
	_, err = s.UserByEmail(t.Context(), "ana_case@example.com")
	wantCode(t, err, messages.CodeUserNotFound)
}

func peopleUnknown(t *testing.T, s persistence.Store) {
	_, err := s.UserByID(t.Context(), newUserID())
	wantCode(t, err, messages.CodeUserNotFound)
	_, err = s.UserByEmail(t.Context(), "nobody@example.com")
	wantCode(t, err, messages.CodeUserNotFound)
	audit := newAudit("user.disabled")
	wantCode(t, s.SetPassword(t.Context(), newUserID(), "hash", audit), messages.CodeUserNotFound)
	wantCode(t, s.DisableUser(t.Context(), newUserID(), audit), messages.CodeUserNotFound)
	wantCode(t, s.EnableUser(t.Context(), newUserID(), audit), messages.CodeUserNotFound)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
}

func peopleList(t *testing.T, s persistence.Store) {
	var want []string
	for _, name := range []string{"delta", "alpha", "charlie", "bravo"} {
		person := newUser(name, "")
		person.Email = name + "@example.com"
		want = append(want, person.Email)
		_, err := s.AddUsers(t.Context(), []messages.NewUser{person})
		noError(t, err)
	}
	slices.Sort(want)
	bravo, err := s.UserByEmail(t.Context(), "bravo@example.com")
	noError(t, err)
	noError(t, s.DisableUser(t.Context(), bravo.ID, newAudit("user.disabled")))
	all, err := s.ListUsers(t.Context())
	noError(t, err)
	var got []string
	for _, a := range all {
		got = append(got, a.Email)
		wantEqual(t, "disabled", a.Disabled, a.ID == bravo.ID)
	}
	wantEqual(t, "addresses", got, want)
}

func peopleSetPassword(t *testing.T, s persistence.Store) {
	users := addUsers(t, s, 2)
	audit := newAudit("user.password_set")
	noError(t, s.SetPassword(t.Context(), users[0].ID, "$new$hash", audit))
	wantOneAudit(t, s, audit)
	for i, want := range []string{"$new$hash", "$hash$First1"} {
		a, err := s.UserByID(t.Context(), users[i].ID)
		noError(t, err)
		wantEqual(t, "hash", a.PasswordHash, want)
	}
}

func peopleDisable(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	audit := newAudit("user.disabled")
	noError(t, s.DisableUser(t.Context(), u.ID, audit))
	noError(t, s.DisableUser(t.Context(), u.ID, audit))
	wantOneAudit(t, s, audit)
	a, err := s.UserByEmail(t.Context(), u.Email)
	noError(t, err)
	if !a.Disabled {
		t.Fatal("the account is not disabled")
	}
}

func peopleEnable(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	unchanged, audit := newAudit("user.enabled"), newAudit("user.enabled")
	noError(t, s.EnableUser(t.Context(), u.ID, unchanged))
	wantEqual(t, "entries", len(auditOf(t, s, unchanged.Subject)), 0)
	noError(t, s.DisableUser(t.Context(), u.ID, newAudit("user.disabled")))
	wantKind(t, commitOne(t, s, claimOf(u, c)), messages.OutcomeNoUser)
	for range 2 {
		noError(t, s.EnableUser(t.Context(), u.ID, audit))
	}
	wantOneAudit(t, s, audit)
	a, err := s.UserByID(t.Context(), u.ID)
	noError(t, err)
	if a.Disabled || a.PasswordHash == "" {
		t.Fatalf("the account is %+v", a)
	}
	end(t, s, start(t, s, u, c))
	wantStatuses(t, s, false, messages.UserStatus{User: u})
}

func peopleAddAudit(t *testing.T, s persistence.Store) {
	audit := newAudit("user.added")
	_, err := s.AddUsers(t.Context(), nil, audit)
	noError(t, err)
	person := newUser("Ada", "Audit")
	_, err = s.AddUsers(t.Context(), []messages.NewUser{person}, audit)
	noError(t, err)
	_, err = s.AddUsers(t.Context(), []messages.NewUser{newUser("Fresh", ""), person}, audit)
	wantCode(t, err, messages.CodeEmailTaken)
	wantOneAudit(t, s, audit)
}

func peopleStatuses(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[1], c)
	onCall := messages.UserStatus{
		User: users[1], IsOnCall: true, CallStartedAt: &call.StartedAt, CurrentCallClientID: &c.ID, CurrentCallID: &call.ID,
		Client: &messages.ClientSummary{ID: c.ID, Name: c.Name, Phone: c.Phone, Email: c.Email},
	}
	wantStatuses(t, s, false, messages.UserStatus{User: users[0]}, onCall)
	wantStatuses(t, s, true, onCall)
	end(t, s, call)
	wantStatuses(t, s, false, messages.UserStatus{User: users[0]}, messages.UserStatus{User: users[1]})
	wantStatuses(t, s, true)
}

func wantStatuses(t *testing.T, s persistence.Store, onCallOnly bool, want ...messages.UserStatus) {
	t.Helper()
	got, err := s.UserStatuses(t.Context(), onCallOnly)
	noError(t, err)
	if len(got) != len(want) || (len(want) > 0 && !cmp.Equal(got, want)) {
		t.Fatalf("statuses (-want +got):\n%s", cmp.Diff(want, got))
	}
}

func peopleStatusOrder(t *testing.T, s persistence.Store) {
	var people []messages.NewUser
	for _, name := range []string{"Cleo Bell", "Ana Young", "Ben Adams", "Ana Adams", "Ana Adams"} {
		first, last, _ := strings.Cut(name, " ")
		people = append(people, newUser(first, last))
	}
	_, err := s.AddUsers(t.Context(), people)
	noError(t, err)
	statuses, err := s.UserStatuses(t.Context(), false)
	noError(t, err)
	var names []string
	for _, st := range statuses {
		names = append(names, st.Name())
	}
	wantEqual(t, "names", names, []string{"Ana Adams", "Ana Adams", "Ana Young", "Ben Adams", "Cleo Bell"})
	if statuses[0].ID.String() > statuses[1].ID.String() {
		t.Fatal("those of one name are not ordered by id")
	}
}

func peopleStatusDisabled(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	for i, u := range users {
		start(t, s, u, clients[i])
	}
	noError(t, s.DisableUser(t.Context(), users[0].ID, newAudit("user.disabled")))
	active, err := s.ActiveUsers(t.Context())
	noError(t, err)
	wantEqual(t, "active users", active, users[1:])
	for _, onCallOnly := range []bool{false, true} {
		statuses, err := s.UserStatuses(t.Context(), onCallOnly)
		noError(t, err)
		if len(statuses) != 1 || statuses[0].ID != users[1].ID {
			t.Fatalf("statuses: %+v", statuses)
		}
	}
}

func peopleAddConcurrent(t *testing.T, s persistence.Store) {
	const n = 8
	person := newUser("Only", "One")
	errs := make([]error, n)
	atOnce(n, func(i int) { _, errs[i] = s.AddUsers(t.Context(), []messages.NewUser{person}) })
	added := 0
	for _, err := range errs {
		if err == nil {
			added++
			continue
		}
		wantCode(t, err, messages.CodeEmailTaken)
	}
	wantEqual(t, "users let in", added, 1)
}
