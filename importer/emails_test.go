package importer

import (
	"errors"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// TestEmails: whatever stands in a cell, a client gets an address that may be changed
// later, or none. What is none is kept as an attribute, and said if it looks like one.
func TestEmails(t *testing.T) {
	for _, tt := range []struct{ cell, address, attributes string }{
		{"ana@example.com", "ana@example.com", "{}"},
		{" Ana@Example.com ", "Ana@Example.com", "{}"},
		{"ana@localhost", "ana@localhost", "{}"},
		{"ünal@exämple.org", "ünal@exämple.org", "{}"},
		{"Ana <ana@example.com>", "ana@example.com", "{}"},
		{"<ana@example.com>", "ana@example.com", "{}"},
		{`"Alvarez, Ana" <ana@example.com>`, "ana@example.com", "{}"},
		{"ana@example.com (at work)", "ana@example.com", "{}"},
		{"Alvarez; Ana <ana@example.com>", "ana@example.com", "{}"},
		{"mailto:ana@example.com", "ana@example.com", "{}"},
		{"MailTo:ana@example.com?subject=Hi", "ana@example.com", "{}"},
		{"Ana <mailto:ana@example.com>", "ana@example.com", "{}"},
		{"ana@example.com; ben@example.com", "ana@example.com", "{}"},
		{"a@b@c, ben@example.com", "ben@example.com", "{}"},
		{"none", "", `{"Email":"none"}`},
		{"a@b@c", "", `{"Email":"a@b@c"}`},
		{"@example.com", "", `{"Email":"@example.com"}`},
		{"ana at home@", "", `{"Email":"ana at home@"}`},
		{"mailto:", "", `{"Email":"mailto:"}`},
		{strings.Repeat("x", 250) + "@b.cd", "", `{"Email":"` + strings.Repeat("x", 250) + `@b.cd"}`},
	} {
		row := oneClient(t, "Name,Phone,Email\nAna,2025550101,\""+strings.ReplaceAll(tt.cell, `"`, `""`)+"\"\n")
		c := row.Client
		if c.Email != tt.address || string(c.Attributes) != tt.attributes {
			t.Errorf("%q: <%s> %s", tt.cell, c.Email, c.Attributes)
		}
		if c.Email != "" && !messages.IsEmail(c.Email) {
			t.Errorf("%q: %q cannot be changed later", tt.cell, c.Email)
		}
		said := strings.HasPrefix(row.Warning, "line 2: ") && strings.Contains(row.Warning, "is not an e-mail address")
		if want := tt.address == "" && strings.Contains(tt.cell, "@"); said != want || !said && row.Warning != "" {
			t.Errorf("%q: warning %q", tt.cell, row.Warning)
		}
	}
}

// TestEmailsOfAnExport: what an earlier import took for an address is put right by
// exporting and importing.
func TestEmailsOfAnExport(t *testing.T) {
	for _, tt := range []struct{ email, attributes, address, want string }{
		{"<ana@example.com>", `{""a"":1}`, "ana@example.com", `{"a":1}`},
		{"a@b@c", ``, "", `{"email":"a@b@c"}`},
		{"a@b@c", `{""email"":""x""}`, "", `{"email":"x","email (2)":"a@b@c"}`},
		{"a@b@c", `{""email"":""a@b@c""}`, "", `{"email":"a@b@c"}`},
		{"", `{}`, "", `{}`},
	} {
		row := oneClient(t, "id,name,phone,email,notes,attributes\n,Ana,+12025550101,"+tt.email+",,\""+tt.attributes+"\"\n")
		if row.Client.Email != tt.address || string(row.Client.Attributes) != tt.want {
			t.Errorf("%s with %s: <%s> %s", tt.email, tt.attributes, row.Client.Email, row.Client.Attributes)
		}
	}
}

// TestNamesAreCountedInCharacters: as the API counts them, of clients and of people.
func TestNamesAreCountedInCharacters(t *testing.T) {
	name := strings.Repeat("ñ", messages.MaxName)
	if row := oneClient(t, "Name,Phone\n"+name+",2025550101\n"); row.Client.Name != name {
		t.Errorf("the name became %q", row.Client.Name)
	}
	for last, fits := range map[string]bool{"": true, "x": false} {
		users, err := NewUsers(strings.NewReader("email,first_name,last_name\na@b.cd," + name + "," + last + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = users.Next()
		var bad *BadLine
		if errors.As(err, &bad) == fits {
			t.Errorf("a first name of %d characters and %q: %v", messages.MaxName, last, err)
		}
	}
}

func oneClient(t *testing.T, file string) ClientRow {
	t.Helper()
	clients, err := NewClients(strings.NewReader(file), "US")
	if err != nil {
		t.Fatal(err)
	}
	row, err := clients.Next()
	if err != nil {
		t.Fatalf("%.80q: %v", file, err)
	}
	return row
}
