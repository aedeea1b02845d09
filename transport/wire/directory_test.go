package wire

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

// book is a directory that answers what a test puts into it.
type book struct {
	users   map[string]messages.UserID
	matches []messages.PhoneMatch
	fault   error
	asked   string // the number, last
}

func (b *book) UsersByEmail(context.Context, []string) (map[string]messages.UserID, error) {
	return b.users, b.fault
}

func (b *book) ClientsByPhone(_ context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error) {
	b.asked = queries[0].Phone
	return b.matches, b.fault
}

func TestDirectory(t *testing.T) {
	id := messages.ClientID{UUID: uuid.New()}
	one := []messages.PhoneMatch{{Clients: 1, Client: id}}
	for _, tt := range []struct {
		name, number string
		book         *book // nil: none
		asked        string
		want         messages.Code
	}{
		{"E.164", "+44 20 7946 0958", &book{matches: one}, "+442079460958", messages.OK},
		{"of the region", "020 7946 0958", &book{matches: one}, "+442079460958", messages.OK},
		{"an extension, as typed", " 4711 ", &book{matches: one}, "4711", messages.OK},
		{"nobody's", "4711", &book{matches: []messages.PhoneMatch{{}}}, "4711", messages.CodeClientNotFound},
		{"several, of which the user calls one", "4711", &book{matches: []messages.PhoneMatch{{Clients: 2, Client: id}}}, "4711", messages.OK},
		{"several", "4711", &book{matches: []messages.PhoneMatch{{Clients: 2}}}, "4711", messages.CodeBadRequest},
		{"too long", strings.Repeat("9", maxPhone+1), &book{matches: one}, "", messages.CodeBadRequest},
		{"no directory", "4711", nil, "", messages.CodeBadRequest},
		{"the store away", "4711", &book{fault: &messages.Error{Code: messages.CodeUnavailable}}, "4711", messages.CodeUnavailable},
		{"no time left", "4711", &book{fault: context.DeadlineExceeded}, "4711", messages.CodeUnavailable},
		{"a defect of the store", "4711", &book{}, "4711", messages.CodeInternal},
	} {
		d := NewDesk(nil, nil, time.Now)
		if tt.book != nil {
			d.SetDirectory(tt.book, "GB")
		}
		got, err := d.clientByPhone(t.Context(), messages.UserID{}, tt.number)
		if code := codeOf(err); code != tt.want || err == nil && got != id {
			t.Errorf("%s: %v, %v; want %q", tt.name, got, err, tt.want)
		}
		if tt.book != nil && tt.book.asked != tt.asked {
			t.Errorf("%s: the directory was asked for %q", tt.name, tt.book.asked)
		}
	}
}

func TestUserByEmail(t *testing.T) {
	id := messages.UserID{UUID: uuid.New()}
	d := NewDesk(nil, nil, time.Now)
	if _, err := d.UserByEmail(t.Context(), "ana@example.com"); codeOf(err) != messages.CodeBadRequest {
		t.Errorf("without a directory: %v", err)
	}
	b := &book{users: map[string]messages.UserID{"ana@example.com": id}}
	d.SetDirectory(b, "US")
	if got, err := d.UserByEmail(t.Context(), " ana@example.com "); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
	for email, want := range map[string]messages.Code{
		"ben@example.com": messages.CodeUserNotFound, "a\x00": messages.CodeBadRequest, strings.Repeat("a", maxEmail+1): messages.CodeBadRequest,
	} {
		if _, err := d.UserByEmail(t.Context(), email); codeOf(err) != want {
			t.Errorf("%q: %v, want %s", email, err, want)
		}
	}
	b.fault = errors.New("secret detail")
	if _, err := d.UserByEmail(t.Context(), "ana@example.com"); codeOf(err) != messages.CodeInternal {
		t.Errorf("%v", err)
	}
}

// codeOf is how an error is told.
func codeOf(err error) messages.Code {
	if err == nil {
		return messages.OK
	}
	return ProblemOf(err, true).Code
}
