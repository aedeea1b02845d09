package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func textPromises() []promise {
	return []promise{
		{"Text is kept as it is: quotes, emoji, line breaks, 64 KiB", textKept},
		{"NUL and broken UTF-8 in a record are CodeBadRequest", textRefused},
		{"NUL and broken UTF-8 in a batch are CodeBadRequest, and nothing of it is applied", textRefusedInBatch},
		{"A search for NUL or broken UTF-8 is CodeBadRequest", textRefusedInSearch},
		{"JSON escapes that no text can hold never break the store", textJSONEscapes},
	}
}

func kept() []string {
	return []string{
		`'; drop table clients; -- "quoted" \ back`, "line\r\nbreaks\tand\vmore", "🎯📞 👩‍💻 e\u0301 ﷽", " spaces around ",
		"\u202eright to left", "\x01\x1f\x7f", strings.Repeat("64 KiB! ", 8192), "%s %_ $1 ? :a @b", "NULL", "{}",
	}
}

func unstorable() map[string]string {
	return map[string]string{"NUL": "a\x00b", "NUL alone": "\x00", "broken UTF-8": "a\xffb", "half a rune": "\xf0\x9f\x8e"}
}

func textKept(t *testing.T, s persistence.Store) {
	for _, text := range kept() {
		person := newUser(text, "Last")
		users, err := s.AddUsers(t.Context(), []messages.NewUser{person})
		noError(t, err)
		u := users[0]
		wantEqual(t, "first name", u.FirstName, text)
		c := newClient(text)
		c.Notes = text
		c.Attributes, err = json.Marshal(map[string]string{text: text})
		noError(t, err)
		noError(t, s.AddClients(t.Context(), []messages.Client{c}))
		got, err := s.ClientByID(t.Context(), c.ID)
		noError(t, err)
		c.CreatedAt, c.UpdatedAt = got.CreatedAt, got.UpdatedAt
		wantClient(t, got, c)

		w := withKey(releaseOf(start(t, s, u, c)), newKey("end"))
		w.Disposition, w.Notes, w.Log = text, text, logOf(u, c, text)
		first := commitOne(t, s, w)
		wantEqual(t, "notes", first.Log.Notes, text)
		wantEqual(t, "notes", allLogs(t, s, c.ID)[0].Notes, text)
		wantReplay(t, s, w, first)
	}
}

func textRefused(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	for name, text := range unstorable() {
		t.Run(name, func(t *testing.T) {
			_, err := s.AddUsers(t.Context(), []messages.NewUser{newUser("Fine", "One"), newUser(text, "")})
			wantCode(t, err, messages.CodeBadRequest)
			person := newUser("Odd", "Address")
			person.Email = text + person.Email
			_, err = s.AddUsers(t.Context(), []messages.NewUser{person})
			wantCode(t, err, messages.CodeBadRequest)

			for _, change := range []func(*messages.Client){
				func(c *messages.Client) { c.Name = text },
				func(c *messages.Client) { c.Phone = text },
				func(c *messages.Client) { c.Email = text },
				func(c *messages.Client) { c.Notes = text },
			} {
				bad, fine := newClient("Odd"), newClient("Fine")
				change(&bad)
				wantCode(t, s.AddClients(t.Context(), []messages.Client{fine, bad}), messages.CodeBadRequest)
				_, err := s.ClientByID(t.Context(), fine.ID)
				wantCode(t, err, messages.CodeClientNotFound)
				_, err = s.UpdateClients(t.Context(), []messages.ClientPatch{patchTo(c.ID, bad.Name, bad.Phone, bad.Email, bad.Notes)})
				wantCode(t, err, messages.CodeBadRequest)
			}
		})
	}
	got, err := s.ClientByID(t.Context(), c.ID)
	noError(t, err)
	wantClient(t, got, c)
}

// textRefusedInBatch: who commits such a batch divides it until the write at
// fault is found, so that it fails nobody else for good.
func textRefusedInBatch(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	call := start(t, s, users[0], clients[0])
	for name, text := range unstorable() {
		for field, change := range map[string]func(*messages.Write){
			"disposition": func(w *messages.Write) { w.Disposition = text },
			"notes":       func(w *messages.Write) { w.Notes = text },
			"log":         func(w *messages.Write) { w.Log = logOf(users[0], clients[0], text) },
			"key":         func(w *messages.Write) { w.Key = newKey("end"); w.Key.Value = text },
			"audit": func(w *messages.Write) {
				audit := newAudit("call.force_released")
				audit.Subject = text
				w.Audit = &audit
			},
			"audit detail": func(w *messages.Write) {
				audit := newAudit("call.force_released")
				audit.Detail = json.RawMessage(text)
				w.Audit = &audit
			},
		} {
			t.Run(fmt.Sprintf("%s in %s", name, field), func(t *testing.T) {
				w := releaseOf(call)
				change(&w)
				_, err := s.Commit(t.Context(), []messages.Write{claimOf(users[1], clients[1]), w})
				wantCode(t, err, messages.CodeBadRequest)
				wantHeld(t, s, call)
				wantFree(t, s, users[1].ID, clients[1].ID)
			})
		}
	}
}

func textRefusedInSearch(t *testing.T, s persistence.Store) {
	for _, text := range unstorable() {
		_, _, err := s.ListClients(t.Context(), messages.ClientQuery{Search: text, Page: 1, Limit: 10})
		wantCode(t, err, messages.CodeBadRequest)
	}
}

func textJSONEscapes(t *testing.T, s persistence.Store) {
	for _, attributes := range []string{`{"a":"\u0000"}`, `{"\u0000":1}`, `{"a":"\ud83c"}`, "{\"a\":\"\xff\"}", `{"a":"\\u0000"}`} {
		c := newClient("Escapes")
		c.Attributes = []byte(attributes)
		err := s.AddClients(t.Context(), []messages.Client{c})
		if err != nil {
			wantCode(t, err, messages.CodeBadRequest)
			if attributes == `{"a":"\\u0000"}` {
				t.Fatal("a backslash before u0000 is harmless")
			}
			continue
		}
		got, err := s.ClientByID(t.Context(), c.ID)
		noError(t, err)
		wantJSON(t, got.Attributes, c.Attributes)
	}
}

// wantJSON compares what two texts of JSON mean, numbers to the last digit.
// Nothing at all means no more than null does.
func wantJSON(t *testing.T, got, want json.RawMessage) {
	t.Helper()
	wantEqual(t, "JSON", meaning(t, got), meaning(t, want))
}

func meaning(t *testing.T, text json.RawMessage) any {
	t.Helper()
	if len(text) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%q is no JSON: %v", text, err)
	}
	return v
}
