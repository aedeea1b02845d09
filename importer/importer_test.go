package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

func TestHeadersThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"empty":            {"", "the file is empty"},
		"blank":            {"\n\r\n", "the file is empty"},
		"no header":        {"Ana,+1 202 555 0101\nBen,+1 202 555 0102\n", "no column holds a phone number"},
		"NUL":              {"Na\x00me,Phone\n", "NUL"},
		"unclosed":         {"\"Name,Phone\nx,y\n", "never closed"},
		"a long line":      {strings.Repeat("x", MaxRecord+1), "longer than"},
		"many columns":     {"Phone" + strings.Repeat(",", maxColumns), "at most 1000"},
		"e-mails only":     {"Name,Email\n", "no column holds a phone number"},
		"an image, say":    {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "no column holds"},
		"sep= and no more": {"sep=;\n", "the file is empty"},
	} {
		_, err := NewClients(strings.NewReader(tt.text), "US")
		var header *HeaderError
		if !errors.As(err, &header) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want a HeaderError with %q", name, err, tt.want)
		}
	}
	if _, err := NewUsers(strings.NewReader("name,role\n")); err == nil || !strings.Contains(err.Error(), "e-mail") {
		t.Errorf("people without e-mail addresses: %v", err)
	}
	if _, err := NewClients(strings.NewReader("phone\n"), "us"); err == nil {
		t.Error("region us was taken")
	}
}

func TestSeparators(t *testing.T) {
	for name, text := range map[string]string{
		"comma":                      "Name,Phone\nAna,+12025550101\n",
		"semicolon":                  "Name;Phone\nAna;+12025550101\n",
		"tab":                        "Name\tPhone\nAna\t+12025550101\n",
		"bar":                        "Name|Phone\nAna|+12025550101\n",
		"commas in a quoted heading": "Name;\"a,b,c,d\";Phone\nAna;;+12025550101\n",
		"commas in a bare heading":   "Name;a,b,c,d;Phone\nAna;;+12025550101\n",
		"one column":                 "Phone\n+12025550101\n",
		"said":                       "sep=;\nPhone;Name\n+12025550101;Ana",
	} {
		clients, err := NewClients(strings.NewReader(text), "US")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if row, err := clients.Next(); err != nil || row.Client.Phone != "+12025550101" {
			t.Errorf("%s: got %+v, %v", name, row, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n) }
	for want, line := range map[string]string{
		"name":       long(201) + ",+12025550101,,",
		"notes":      "x,+12025550101,," + long(10_000),
		"attributes": "x,+12025550101,,," + long(10_000),
		"longer":     "x,+12025550101,," + long(MaxRecord/2),
	} {
		clients, err := NewClients(strings.NewReader("Name,Phone,Email,Notes,Else\n"+line+"\nok,+12025550102,,\n"), "US")
		if err != nil {
			t.Fatal(err)
		}
		_, err = clients.Next()
		var bad *BadLine
		if !errors.As(err, &bad) || bad.Line != 2 || !strings.Contains(bad.Reason, want) {
			t.Errorf("%s: got %v", want, err)
		}
		if row, err := clients.Next(); err != nil || row.Line != 3 {
			t.Errorf("%s: behind it: %+v, %v", want, row, err)
		}
	}
}

// TestExportIsReadAgain holds writer and reader together: what was exported
// comes back as it was.
func TestExportIsReadAgain(t *testing.T) {
	when := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	clients := []messages.Client{
		{Name: `He said "hi", twice`, Phone: "+12025550101", Email: "a@example.org", Notes: " two\nlines ", Attributes: json.RawMessage(`{"a;b":[1,"x"]}`)},
		{Name: "=cmd|' /C calc'!A0", Phone: "front desk", Attributes: json.RawMessage(`{}`)},
		{Name: "Zoë", Phone: "", Attributes: json.RawMessage(`{}`)},
	}
	var file bytes.Buffer
	w, err := NewClientWriter(&file, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range clients {
		clients[i].ID = messages.ClientID{UUID: uuid.New()}
		clients[i].CreatedAt, clients[i].UpdatedAt = when, when
		if err := w.Write(clients[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := NewClients(&file, "US")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range clients {
		row, err := r.Next()
		got := row.Client
		if err != nil || got.ID != want.ID || got.Name != want.Name || got.Phone != want.Phone ||
			got.Email != want.Email || got.Notes != want.Notes || string(got.Attributes) != string(want.Attributes) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last: %v", err)
	}
}

func TestAttributesThatCannotBeStored(t *testing.T) {
	for _, attributes := range []string{"[]", "null", "{", "{} {}", `{"a":"\u0000"}`, `{"\u0000":1}`, `{"a":[1e999]}`,
		`{"a":` + strings.Repeat("1", 200) + `}`, strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)} {
		if raw, reason := ownAttributes(attributes, ""); reason == "" {
			t.Errorf("%.40s was taken: %.40s", attributes, raw)
		}
	}
	for _, attributes := range []string{"", "{}", `{"a":{"b":[1.5,null,true,"<x>"]}}`} {
		if raw, reason := ownAttributes(attributes, ""); reason != "" || !json.Valid(raw) {
			t.Errorf("%s: %s, %s", attributes, raw, reason)
		}
	}
}

func TestExcelSafe(t *testing.T) {
	var file bytes.Buffer
	w, err := NewClientWriter(&file, true)
	if err != nil {
		t.Fatal(err)
	}
	c := messages.Client{Name: "=1+1", Phone: "+12025550101", Notes: "-", Email: "@x", Attributes: json.RawMessage(`{}`)}
	if err := errors.Join(w.Write(c), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(file.String(), "\ufeffid,") {
		t.Errorf("no byte-order mark: %q", file.String())
	}
	for _, want := range []string{",'=1+1,", ",'+12025550101,", ",'-,", ",'@x,"} {
		if !strings.Contains(file.String(), want) {
			t.Errorf("%q lacks %q", file.String(), want)
		}
	}
}
