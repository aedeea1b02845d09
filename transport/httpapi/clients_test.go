package httpapi

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

func TestAvailability(t *testing.T) {
	w := newWorld(t)
	path := "/api/clients/" + w.xenia.String() + "/availability"
	w.do("Ben", "GET", path, nil).is(200).has("available", true, "caller", nil)
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200)
	w.do("Ben", "GET", path, nil).is(200).has("available", false, "caller.id", w.ana.ID,
		"caller.name", "Ana Alvarez", "caller.call_started_at", "2026-03-01T09:00:00Z")
	w.do("Ben", "GET", "/api/clients/"+uuid.NewString()+"/availability", nil).is(404, messages.CodeClientNotFound)
	w.do("Ben", "GET", "/api/clients/7/availability", nil).is(400, messages.CodeBadRequest)
}

func TestClientLifecycle(t *testing.T) {
	w := newWorld(t)
	made := w.do("Ana", "POST", "/api/clients", m{"name": " Otto ", "phone": "(650) 253-0001", "email": "otto@example.org",
		"notes": "likes tea", "attributes": m{"score": 7, "tags": []string{"a"}}, "extra": true}).is(201).has(
		"client.name", "Otto", "client.phone", "+16502530001", "client.attributes.score", 7)
	path := "/api/clients/" + made.str("client.id")
	w.do("Ben", "GET", path, nil).is(200).has("client.name", "Otto", "client.notes", "likes tea")
	w.do("Ben", "PUT", path, m{"phone": nil, "email": "", "notes": "moved"}).is(200).has("client.name", "Otto",
		"client.phone", "+16502530001", "client.email", "", "client.notes", "moved", "client.attributes.score", 7)
	w.do("Ben", "PUT", path, m{"attributes": m{}}).is(200).has("client.attributes", "map[]", "client.notes", "moved")
	w.do("Ben", "DELETE", path, nil).is(403, messages.CodeForbidden)
	w.do("Ana", "PUT", statusPath, m{"action": "start_call", "client_id": made.str("client.id")}).is(200)
	busy := w.do("Adele", "DELETE", path, nil).is(409, messages.CodeClientBeingCalled)
	if !strings.Contains(busy.str("error"), "cannot be deleted") {
		t.Errorf("%s", busy.body)
	}
	w.do("Ana", "PUT", statusPath, m{"action": "end_call"}).is(200)
	w.do("Adele", "DELETE", path, nil).is(200)
	w.do("Adele", "DELETE", path, nil).is(404, messages.CodeClientNotFound)
	w.do("Ana", "GET", path, nil).is(404, messages.CodeClientNotFound)
	w.do("Ana", "PUT", path, m{"name": "x"}).is(404, messages.CodeClientNotFound)
	if a := w.store.audits; len(a) != 1 || a[0].Action != "client.deleted" || a[0].By != "user:"+w.admin.ID.String() {
		t.Errorf("audit trail: %+v", a)
	}
}

// What a change does not name it does not write: somebody else may be changing
// it at the same moment.
func TestChangesNameTheirFieldsAlone(t *testing.T) {
	w := newWorld(t)
	path := "/api/clients/" + w.xenia.String()
	for _, tt := range []struct {
		in   m
		want string // the fields of the patch, in order
	}{
		{m{}, ""}, {m{"name": nil, "attributes": nil, "extra": 1}, ""}, {m{"name": "X"}, "name "}, {m{"phone": ""}, "phone "},
		{m{"email": "x@example.org"}, "email "}, {m{"notes": "n"}, "notes "}, {m{"attributes": m{}}, "attributes "},
		{m{"name": "Y", "phone": "1", "email": "", "notes": "", "attributes": m{"a": 1}}, "name phone email notes attributes "},
	} {
		w.store.patches = nil
		w.do("Ben", "PUT", path, tt.in).is(200)
		if len(w.store.patches) != 1 || w.store.patches[0].ID != w.xenia || w.store.patches[0].Merge {
			t.Fatalf("%v: patches %+v", tt.in, w.store.patches)
		}
		p, got := w.store.patches[0], ""
		for _, field := range []struct {
			name string
			is   bool
		}{{"name", p.Name != nil}, {"phone", p.Phone != nil}, {"email", p.Email != nil}, {"notes", p.Notes != nil}, {"attributes", p.Attributes != nil}} {
			if field.is {
				got += field.name + " "
			}
		}
		if got != tt.want {
			t.Errorf("%v: the patch gives %q, want %q", tt.in, got, tt.want)
		}
	}
	w.store.patches = nil
	for _, bad := range []string{`{"name":""}`, `{"name":" "}`, `{"email":"x"}`, `{"attributes":[]}`, `[]`} {
		w.do("Ben", "PUT", path, bad).is(400, messages.CodeBadRequest)
	}
	if len(w.store.patches) > 0 {
		t.Errorf("patches %+v", w.store.patches)
	}
}

func TestPhonesAreNormalised(t *testing.T) {
	w := newWorld(t)
	for in, want := range map[string]string{
		"650-253-0000": "+16502530000", "+44 20 7031 3000": "+442070313000", " 1 (650) 253 0000 ": "+16502530000",
		"4711": "4711", "front desk": "front desk", "": "", "+1 650 253 0000 ext. 5": "+16502530000",
	} {
		if got, err := w.api.phone(in); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestBadClients(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33)
	tests := []struct{ body, names string }{
		{`{}`, "name"}, {`{"name":""}`, "name"}, {`{"name":"  "}`, "name"}, {`{"name":7}`, "name"}, {`{"name":null}`, "name"},
		{`{"name":"` + strings.Repeat("x", 201) + `"}`, "name"}, {`{"name":"a\u0000"}`, "name"},
		{`{"name":"x","phone":"` + strings.Repeat("1", 65) + `"}`, "phone"}, {`{"name":"x","phone":"1\u00002"}`, "phone"},
		{`{"name":"x","email":"x"}`, "email"}, {`{"name":"x","email":"a b@c"}`, "email"}, {`{"name":"x","email":"a@b@c"}`, "email"},
		{`{"name":"x","email":"` + strings.Repeat("x", 250) + `@b.cd"}`, "email"},
		{`{"name":"x","notes":"` + strings.Repeat("x", maxNotes+1) + `"}`, "notes"},
		{`{"name":"x","attributes":[]}`, "attributes"}, {`{"name":"x","attributes":"x"}`, "attributes"},
		{`{"name":"x","attributes":{"a":"\u0000"}}`, "attributes"}, {`{"name":"x","attributes":{"\u0000":1}}`, "attributes"},
		{`{"name":"x","attributes":{"a":1e400}}`, "attributes"}, {`{"name":"x","attributes":{"a":[1e-400]}}`, "attributes"},
		{`{"name":"x","attributes":{"a":0e-99999999999999999999}}`, "attributes"},
		{`{"name":"x","attributes":{"a":1` + strings.Repeat("0", 200) + `}}`, "attributes"},
		{`{"name":"x","attributes":` + deep + `}`, "attributes"},
		{`{"name":"x","attributes":{"a":"` + strings.Repeat("x", messages.MaxAttributes) + `"}}`, "attributes"},
	}
	w := newWorld(t)
	for _, tt := range tests {
		got := w.do("Ana", "POST", "/api/clients", tt.body)
		if got.status != 400 || !strings.Contains(got.str("error"), tt.names) {
			t.Errorf("%.80q: %d %s, want 400 that names %s", tt.body, got.status, got.body, tt.names)
		}
	}
	if len(w.store.clients) != 3 {
		t.Error("something was kept")
	}
}

// Lengths of names are those of the document, which counts characters.
func TestNamesAreCountedInCharacters(t *testing.T) {
	w := newWorld(t)
	most := int(*loadSpec(t).Components.Schemas["ClientFields"].Value.Properties["name"].Value.MaxLength)
	name := strings.Repeat("ñ", most)
	w.do("Ana", "POST", "/api/clients", m{"name": name}).is(201).has("client.name", name)
	w.do("Ana", "PUT", "/api/clients/"+w.xenia.String(), m{"name": name + "n"}).is(400, messages.CodeBadRequest)
	w.do("Ana", "PUT", "/api/clients/"+w.xenia.String(), m{"name": name}).is(200).has("client.name", name)
}

func TestAttributesAreWrittenAnew(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                           `{}`,
		` { "b" : 1.50 , "a" : [ ] }`:  `{"a":[],"b":1.50}`,
		`{"a":1,"a":2}`:                `{"a":2}`,
		`{"a":"\ud800"}`:               `{"a":"` + "\ufffd" + `"}`,
		`{"a":"\\u0000 <b>"}`:          `{"a":"\\u0000 <b>"}`,
		`{"big":12345678901234567890}`: `{"big":12345678901234567890}`,
	} {
		if got, err := attributes([]byte(in)); string(got) != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
}

func TestListClients(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "GET", "/api/clients", nil).is(200).has("totalCount", 3, "page", 1, "limit", 50, "totalPages", 1,
		"clients.0.name", "Xenia", "clients.2.name", "Zoe", "clients.0.attributes", "map[]")
	w.do("Ana", "GET", "/api/clients?limit=2&page=2", nil).is(200).has("clients.0.name", "Zoe", "totalPages", 2, "page", 2)
	w.do("Ana", "GET", "/api/clients?search=YUR", nil).is(200).has("clients.0.name", "Yuri", "totalCount", 1)
	w.do("Ana", "GET", "/api/clients?search=nobody", nil).is(200).has("clients", "[]", "totalCount", 0, "totalPages", 0)
	w.spec = nil // its validator reads no number that long
	for _, page := range []string{"2", "1000000", "9223372036854775807", "99999999999999999999999999"} {
		w.do("Ana", "GET", "/api/clients?limit=1000&page="+page, nil).is(200).has("clients", "[]", "totalCount", 3)
	}
	for _, bad := range []string{"page=0", "page=-1", "page=x", "page=1.5", "limit=0", "limit=1001", "limit=-5", "limit=x",
		"limit=99999999999999999999", "search=%00", "search=%ff", "search=" + strings.Repeat("x", 201), "search=%zz", "a;b"} {
		w.do("Ana", "GET", "/api/clients?"+bad, nil).is(400, messages.CodeBadRequest)
	}
}
