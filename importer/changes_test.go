package importer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// TestChanges holds what a row says of a client who is there to what its cells
// say: an empty one nothing, and no name that was made up.
func TestChanges(t *testing.T) {
	id := messages.ClientID{UUID: uuid.MustParse("11111111-2222-4333-8444-555555555555")}
	for _, tt := range []struct{ file, want string }{
		{"Phone\n2025550101\n", `{}`},
		{"Name,Phone\nAda,2025550101\n", `name="Ada" {}`},
		{"Name,Phone\n  ,2025550101\n", `{}`},
		{"First Name,Last Name,Phone\nAda,Lovelace,2025550101\n", `name="Ada Lovelace" {}`},
		{"Company,Phone\nAcme,2025550101\n", `{"Company":"Acme"}`},
		{"Company,Phone,Email\n,2025550101,ada@example.org\n", `email="ada@example.org" {}`},
		{"Phone,Email\n2025550101,none\n", `{"Email":"none"}`},
		{"Phone,Notes,City\n2025550101,said yes,\n", `notes="said yes" {}`},
		{"Phone,Mobile,City\n2025550101,2025550102,Leeds\n", `{"Mobile":"2025550102","City":"Leeds"}`},
		{"id,name,phone,email,notes,attributes\n" + id.String() + ",Ada,+12025550101,,\" \n\",\n", `name="Ada" {}`},
		{"id,name,phone,email,notes,attributes\n,,4711,a@b.cd,n,\"{\"\"a\"\":[1]}\"\n", `email="a@b.cd" notes="n" {"a":[1]}`},
	} {
		clients, err := NewClients(strings.NewReader(tt.file), "US")
		if err != nil {
			t.Fatal(err)
		}
		row, err := clients.Next()
		if err != nil {
			t.Fatalf("%q: %v", tt.file, err)
		}
		p := row.Changes(id)
		got := ""
		for _, field := range []struct {
			name string
			to   *string
		}{{"name", p.Name}, {"phone", p.Phone}, {"email", p.Email}, {"notes", p.Notes}} {
			if field.to != nil {
				got += fmt.Sprintf("%s=%q ", field.name, *field.to)
			}
		}
		if got += string(p.Attributes); got != tt.want || !p.Merge || p.ID != id {
			t.Errorf("%q changes %s, want %s", tt.file, got, tt.want)
		}
	}
}
