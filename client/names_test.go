package client

import (
	"encoding/json"
	"errors"
	"testing"
)

// A user and a client may be named by what telephones know of them. What follows
// names the call as the server did.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		user, client string
		want         change
	}{
		{"u", "x", change{UserID: "u", ClientID: "x"}},
		{Email("Ana@example.com"), "x", change{UserEmail: "Ana@example.com", ClientID: "x"}},
		{"u", Phone("(202) 555-0143"), change{UserID: "u", ClientPhone: "(202) 555-0143"}},
		{Email("ana@example.com"), Phone("+12025550143"), change{UserEmail: "ana@example.com", ClientPhone: "+12025550143"}},
		{"", "tel:+12025550143", change{ClientPhone: "+12025550143"}}, // the token's user
	} {
		s := &script{says: []any{aCall, aCall, `{"user":{"id":"u"}}`}}
		c := &Client{via: s}
		call, err := c.Start(t.Context(), tt.user, tt.client)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Renew(t.Context(), call, 0); err != nil {
			t.Error(err)
		}
		if err := c.End(t.Context(), call, Outcome{}); err != nil {
			t.Error(err)
		}
		var got [3]change
		for i := range got {
			if err := json.Unmarshal(s.seen[i].body, &got[i]); err != nil {
				t.Fatal(err)
			}
		}
		tt.want.Action = "start_call"
		if got[0] != tt.want {
			t.Errorf("%s, %s: sent %+v", tt.user, tt.client, got[0])
		}
		for _, later := range got[1:] {
			if later.UserID != "u" || later.UserEmail != "" || later.CallID != "c" {
				t.Errorf("%s, %s: sent %+v", tt.user, tt.client, later)
			}
		}
	}
	s := &script{says: []any{aCall}}
	c := &Client{via: s}
	for what, err := range map[string]error{
		"no address":               second(c.Start(t.Context(), Email(""), "x")),
		"no number":                second(c.Hold(t.Context(), "u", Phone(" "))),
		"availability of a number": second(c.Availability(t.Context(), Phone("+12025550143"))),
		"an answer without a user": second((&Client{via: &script{says: []any{`{"call":{"id":"c","client_id":"x","token":1}}`}}}).Start(t.Context(), Email("a@b"), "x")),
		"an answer without a lead": second((&Client{via: &script{says: []any{`{"call":{"id":"c","user_id":"u","token":1}}`}}}).Start(t.Context(), "u", Phone("1"))),
	} {
		if !errors.Is(err, CodeBadRequest) && !errors.Is(err, CodeInternal) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(s.seen) > 0 {
		t.Errorf("%d requests were sent", len(s.seen))
	}
}
