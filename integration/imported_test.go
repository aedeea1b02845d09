package integration

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestImportedClientsCanBeEdited: what an import made of odd cells, a person can save
// again as the page does, all fields at once.
func TestImportedClientsCanBeEdited(t *testing.T) {
	d := onSQLite(t)
	d.MustRun(t, "migrate", "up")
	rows := [][]string{
		{"Name", "Phone", "Email"},
		{strings.Repeat("ñ", 200), "+12015550101", "Ana <ana@example.com>"},
		{"Mail", "+12015550102", "mailto:ben@example.com"},
		{"Odd", "+12015550103", "a@b@c"},
		{"None", "+12015550104", "none"},
	}
	p, code := d.Run(t, "clients", "import", csvFile(t, rows))
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Stderr())
	}
	if said := p.Stderr(); !strings.Contains(said, `line 4: "a@b@c" is not an e-mail address`) || strings.Contains(said, "none") {
		t.Errorf("the import says %q", said)
	}
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	page := harness.NewClient(t, s.URL, serviceKey(t, d))
	emails := map[string]string{}
	for _, c := range page.AllClients(t) {
		emails[c.Phone] = c.Email
		form := map[string]any{"name": c.Name, "phone": c.Phone, "email": c.Email, "notes": c.Notes, "attributes": c.Attributes}
		harness.Must(t, http.StatusOK)(page.Do(t.Context(), http.MethodPut, "/api/clients/"+c.ID.String(), form))
	}
	want := map[string]string{"+12015550101": "ana@example.com", "+12015550102": "ben@example.com", "+12015550103": "", "+12015550104": ""}
	if !maps.Equal(emails, want) {
		t.Errorf("the addresses are %q", emails)
	}
}
