package persistence_test

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func TestPatchedAttributes(t *testing.T) {
	long := `{"x":"` + strings.Repeat("x", messages.MaxAttributes-8) + `"}`
	for _, tt := range []struct {
		name, old, with string
		replace         bool
		want            string
	}{
		{"nothing to nothing", ``, `{}`, false, ``},
		{"keys join", `{"b":1}`, `{"a":2}`, false, `{"a":2,"b":1}`},
		{"keys replace", `{"a":1,"b":[1, 2.50]}`, `{"a":{"c":null}}`, false, `{"a":{"c":null},"b":[1,2.50]}`},
		{"the same stays to the letter", `{"b" : "é", "a":1}`, `{"b":"\u00e9"}`, false, `{"b" : "é", "a":1}`},
		{"a number keeps its digits", `{"n":12345678901234567890123}`, `{"n":12345678901234567890124}`, false, `{"n":12345678901234567890124}`},
		{"no escapes for HTML", `{"a":"<&>"}`, `{"b":"<&>"}`, false, `{"a":"<&>","b":"<&>"}`},
		{"replaced", `{"a":1}`, `{"b":2}`, true, `{"b":2}`},
		{"replaced by nothing", `{"a":1}`, `{}`, true, `{}`},
		{"no object", `{"a":1}`, `[1]`, false, "refused"},
		{"null", `{"a":1}`, `null`, false, "refused"},
		{"as large as may be", `{}`, long, false, long},
		{"too large", `{"a":1}`, long, false, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := messages.Client{Name: "Ada", Notes: "n", Attributes: []byte(tt.old)}
			got, err := persistence.Patched(c, messages.ClientPatch{Attributes: []byte(tt.with), Merge: !tt.replace})
			if tt.want == "refused" {
				if messages.CodeOf(err) != messages.CodeBadRequest {
					t.Fatalf("%s, %v, want %q", got.Attributes, err, messages.CodeBadRequest)
				}
				return
			}
			if err != nil || string(got.Attributes) != tt.want || got.Name != "Ada" || got.Notes != "n" {
				t.Errorf("%+v %s, %v, want %s", got, got.Attributes, err, tt.want)
			}
		})
	}
}

func TestPatchedFields(t *testing.T) {
	text, empty := "new", ""
	c := messages.Client{Name: "Ada", Phone: "1", Email: "a@b.cd", Notes: "n", Attributes: []byte(`{"a":1}`)}
	got, err := persistence.Patched(c, messages.ClientPatch{Name: &text, Email: &empty})
	if err != nil || got.Name != "new" || got.Email != "" || got.Phone != "1" || got.Notes != "n" || string(got.Attributes) != `{"a":1}` {
		t.Errorf("%+v %s, %v", got, got.Attributes, err)
	}
	if c.Name != "Ada" {
		t.Error("the client that was given was changed")
	}
}
