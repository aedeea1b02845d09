package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

// firstAdmin makes the administrator of an empty store and returns the
// password, which is kept nowhere. Of two servers that start together on one
// database one makes the administrator; the other returns "".
func firstAdmin(ctx context.Context, email string, store persistence.People, passwords *auth.Passwords) (secret string, err error) {
	secret = auth.NewPassword()
	hash, err := passwords.Hash(ctx, secret)
	if err != nil {
		return "", err
	}
	admin := messages.User{FirstName: "Administrator", Email: email, Role: messages.RoleAdmin}
	admin.ID = messages.UserID{UUID: uuid.New()}
	audit := messages.Audit{By: "system", Action: "user.added", Subject: userSubject(admin.ID), Detail: []byte(`{"role":"admin"}`)}
	_, err = store.AddUsers(ctx, []messages.NewUser{{User: admin, PasswordHash: hash}}, audit)
	if messages.CodeOf(err) == messages.CodeEmailTaken {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("make the administrator: %w", err)
	}
	return secret, nil
}

func (c *cli) printFirstPassword(email, secret string) error {
	rule := strings.Repeat("=", 72)
	_, err := fmt.Fprintf(c.stdout, `%[1]s
  This is the first start. An administrator was made:

    e-mail    %[2]s
    password  %[3]s

  The password is shown this once and kept nowhere. To set another:
  dibs users passwd %[2]s
%[1]s
`, rule, email, secret)
	return err
}

// printReady tells where to go. Failing to say so is no reason not to serve.
func (c *cli) printReady(cfg serveConfig, url string) {
	if !cfg.Demo {
		_, _ = fmt.Fprintf(c.stdout, "dibs listens on %s\n", url)
		return
	}
	_, _ = fmt.Fprintf(c.stdout, `
dibs listens on %[1]s, with people and clients that are made up.

  People    admin@example.com (an administrator), ana@example.com,
            ben@example.com, cleo@example.com, dan@example.com
  Password  %[2]s, for all of them
  Clients   %[3]d, the same every time

Try it in another terminal:

  TOKEN=$(curl -s %[1]s/api/auth/login -H 'Content-Type: application/json' \
    -d '{"email":"ana@example.com","password":"%[2]s"}' | sed 's/.*"token":"\([^"]*\)".*/\1/')

  curl -s "%[1]s/api/clients?limit=3" -H "Authorization: Bearer $TOKEN"

  curl -s -X PUT %[1]s/api/user-status -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' \
    -d '{"action":"start_call","client_id":"%[4]s"}'

  curl -s "%[1]s/api/user-status?on_call=true" -H "Authorization: Bearer $TOKEN"

Sign in as ben@example.com and start the same call to see it refused. The whole
API: %[1]s/openapi.json. Ctrl-C stops the server; the data stays in %[5]s.
`, url, demoPassword, demoClients, demoClient(0).ID, cfg.Store.place())
}
