package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

const (
	demoPassword = "demo-password"
	demoClients  = 200
)

// demoID is the same for the same name, on every machine, for ever.
func demoID(name string) uuid.UUID {
	return uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/dibs-calls/dibs/demo")), []byte(name))
}

func demoPeople() []messages.User {
	people := []messages.User{
		{FirstName: "Ada", LastName: "Admin", Email: "admin@example.com", Role: messages.RoleAdmin},
		{FirstName: "Ana", LastName: "Alvarez", Email: "ana@example.com", Role: messages.RoleUser},
		{FirstName: "Ben", LastName: "Brandt", Email: "ben@example.com", Role: messages.RoleUser},
		{FirstName: "Cleo", LastName: "Castel", Email: "cleo@example.com", Role: messages.RoleUser},
		{FirstName: "Dan", LastName: "Dubois", Email: "dan@example.com", Role: messages.RoleUser},
	}
	for i := range people {
		people[i].ID = messages.UserID{UUID: demoID("user " + people[i].Email)}
	}
	return people
}

// demoClient makes the i-th client, from 0. The numbers are of ranges that are
// kept free for fiction (+1 202-555-01xx, +44 20 7946 0xxx): nobody is called
// by mistake.
func demoClient(i int) messages.Client {
	first := [...]string{"Amara", "Bruno", "Chidi", "Dora", "Emil", "Farah", "Gina", "Hugo", "Ines", "Jonas",
		"Kira", "Luca", "Mona", "Nils", "Olga", "Pavel", "Rosa", "Sami", "Tara", "Vito"}
	last := [...]string{"Okafor", "Lindqvist", "Marsh", "Duarte", "Weber", "Nair", "Reyes", "Tanaka", "Novak", "Bello"}
	cities := [...]string{"Lisbon", "Dover", "Leeds", "Austin", "Turin"}
	name := first[i%len(first)] + " " + last[i/len(first)%len(last)]
	phone := fmt.Sprintf("+1202555%04d", 100+i/2)
	if i%2 == 1 {
		phone = fmt.Sprintf("+44207946%04d", i/2)
	}
	return messages.Client{
		ID:         messages.ClientID{UUID: demoID(fmt.Sprintf("client %d", i))},
		Name:       name,
		Phone:      phone,
		Email:      strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@example.org",
		Attributes: json.RawMessage(fmt.Sprintf(`{"city":%q}`, cities[i%len(cities)])),
	}
}

// seedDemo adds what is missing of the demo's people and clients. A store in
// which other people work is not a place to play.
func seedDemo(ctx context.Context, store persistence.Store, passwords *auth.Passwords, accounts []messages.Account, log *slog.Logger) error {
	there := make(map[string]bool)
	for _, a := range accounts {
		there[strings.ToLower(a.Email)] = true
	}
	var missing []messages.NewUser
	for _, p := range demoPeople() {
		if there[p.Email] {
			continue
		}
		hash, err := passwords.Hash(ctx, demoPassword)
		if err != nil {
			return err
		}
		missing = append(missing, messages.NewUser{User: p, PasswordHash: hash})
	}
	if len(accounts) > 0 && len(missing) == len(demoPeople()) {
		return refusef("there are people in this store who are not the demo's: give --demo a --data folder of its own")
	}
	if len(missing) > 0 {
		if _, err := store.AddUsers(ctx, missing); err != nil {
			return fmt.Errorf("add the demo's people: %w", err)
		}
	}
	return seedDemoClients(ctx, store, log)
}

func seedDemoClients(ctx context.Context, store persistence.Store, log *slog.Logger) error {
	ids := make([]messages.ClientID, demoClients)
	for i := range ids {
		ids[i] = demoClient(i).ID
	}
	existing, err := store.ExistingClients(ctx, ids)
	if err != nil {
		return err
	}
	there := make(map[messages.ClientID]bool)
	for _, id := range existing {
		there[id] = true
	}
	var missing []messages.Client
	for i := range demoClients {
		if c := demoClient(i); !there[c.ID] {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := store.AddClients(ctx, missing); err != nil {
		return fmt.Errorf("add the demo's clients: %w", err)
	}
	log.Info("the demo's clients were added", "clients", len(missing))
	return nil
}

// refuseDemoAccounts keeps accounts whose password everybody knows away from a
// network. One that is disabled, or has another password by now, may stay.
func refuseDemoAccounts(ctx context.Context, passwords *auth.Passwords, accounts []messages.Account) error {
	demo := make(map[string]bool)
	for _, p := range demoPeople() {
		demo[p.Email] = true
	}
	var open []string
	for _, a := range accounts {
		if !demo[strings.ToLower(a.Email)] || a.Disabled || a.PasswordHash == "" {
			continue
		}
		matches, err := passwords.Verify(ctx, a.PasswordHash, demoPassword)
		if err != nil {
			return err
		}
		if matches {
			open = append(open, a.Email)
		}
	}
	if len(open) == 0 {
		return nil
	}
	names := strings.Join(open, " ")
	return refusef("accounts of the demo, whose password everybody knows, can sign in here, so the server must not be reached from other machines. Disable them (dibs users disable %s), give them other passwords (dibs users passwd …), or start with an empty --data folder", names)
}
