package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// answersLike are answers of every kind, with and without what may be missing.
func answersLike(name string, id uuid.UUID, at time.Time, token int64) []any {
	user := messages.User{ID: messages.UserID{UUID: id}, FirstName: name, LastName: "Ngo", Email: name + "@example.com", Role: messages.RoleUser}
	call := &messages.Call{ID: messages.CallID{UUID: id}, ClientID: messages.ClientID{UUID: uuid.Max}, UserID: user.ID,
		StartedAt: at, LeaseExpiresAt: at.Add(time.Nanosecond), Token: token}
	caller := &messages.Caller{ID: user.ID, Name: name, CallStartedAt: at}
	return []any{
		&StartAnswer{Calling(user, call), call, name}, &StartAnswer{},
		&EndAnswer{Calling(user, nil), call, name}, &EndAnswer{Calling(user, call), nil, name}, &EndAnswer{},
		&RenewAnswer{call, at, name}, &RenewAnswer{},
		&AvailabilityAnswer{false, caller}, &AvailabilityAnswer{true, nil},
		&Body{name, messages.Code(name), call, caller}, &Body{},
		map[string]string{"name": name}, nil,
	}
}

// holdToEncodingJSON fails the test where an answer is written in another way than
// encoding/json would.
func holdToEncodingJSON(t *testing.T, answers []any) {
	t.Helper()
	for _, v := range answers {
		want, wrong := json.Marshal(v)
		got, err := AppendJSON([]byte("before "), v)
		if (err != nil) != (wrong != nil) || err == nil && string(got) != "before "+string(want) {
			t.Errorf("%T: %s, %v\nencoding/json: %s, %v", v, got, err, want, wrong)
		}
	}
}

func TestAnswersAreWhatEncodingJSONMakes(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 120_000_000, time.UTC)
	for _, name := range []string{"", "Ana", "Zoë", "a\"b", `a\b`, "<&>", "a\x00\n\x7f", "\u2028\u2029", "broken \xff", "😀"} {
		holdToEncodingJSON(t, answersLike(name, uuid.New(), at, 7))
	}
	for _, at := range []time.Time{{}, at.In(time.FixedZone("", -90*60)), at.Truncate(time.Second), at.AddDate(8000, 0, 0), at.AddDate(-2027, 0, 0)} {
		holdToEncodingJSON(t, answersLike("Ana", uuid.Nil, at, -1))
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("Ana", []byte("0123456789abcdef"), int64(0), int64(1))
	f.Add("Zoë <a@b>", []byte{}, int64(1772355600_123456789), int64(-1))
	f.Add("\xff\x00\u2028", []byte{1}, int64(-1), int64(1)<<62)
	f.Fuzz(func(t *testing.T, name string, id []byte, nanos, token int64) {
		var u uuid.UUID
		copy(u[:], id)
		holdToEncodingJSON(t, answersLike(name, u, time.Unix(nanos/1000, nanos%1000).UTC(), token))
	})
}

// plainBodies says of bodies whether the quick way reads them.
func plainBodies() map[string]bool {
	return map[string]bool{
		`{"action":"start_call","client_id":"a","user_id":"b","lease_seconds":60}`:              true,
		"\t{ \"call_id\" : \"c\" ,\n\"token\" : -9 }\r\n":                                       true,
		`{"notes":"Zoë","notes":"last","disposition":"","user_email":"a@b","client_phone":"1"}`: true,
		`{}`: true, `{"token":9223372036854775807}`: true,
		``: false, `null`: false, `[]`: false, `{"action"}`: false, `{"action":"a"`: false, `{"action":"a",}`: false,
		`{,"action":"a"}`: false, `{"action":"a"}x`: false, `{"action":"a" "notes":"b"}`: false, `{"action:"a"}`: false,
		`{"action":null}`: false, `{"action":1}`: false, `{"action":"a\n"}`: false, "{\"action\":\"a\n\"}": false,
		`{"Action":"a"}`: false, `{"more":"a"}`: false, `{"token":"1"}`: false, `{"token":1.0}`: false, `{"token":1e3}`: false,
		`{"token":01}`: false, `{"token":-0}`: false, `{"token":-}`: false, `{"token":--1}`: false, `{"token":}`: false,
		`{"token":9223372036854775808}`: false,
	}
}

func TestPlainBodies(t *testing.T) {
	for body, want := range plainBodies() {
		var in Change
		if got := in.readPlain(body); got != want {
			t.Errorf("%s: %v", body, got)
		}
		holdToUnmarshal(t, body)
	}
}

// What is read before something is wrong must not stay.
func TestDecodeStartsAnew(t *testing.T) {
	in := Change{Action: "before"}
	if err := Decode([]byte(`{"notes":"new","action":"after","token":"x"}`), &in); err == nil {
		t.Error("a token that is a text was taken")
	}
	in = Change{Action: "before"}
	if err := Decode([]byte(`{"notes":"new"}`), &in); err != nil || in != (Change{Action: "before", Notes: "new"}) {
		t.Errorf("%+v, %v", in, err)
	}
}

// holdToUnmarshal fails the test if a body is understood in another way than
// encoding/json would.
func holdToUnmarshal(t *testing.T, body string) {
	t.Helper()
	var got, want Change
	quick := got.readPlain(body)
	if err := json.Unmarshal([]byte(body), &want); quick && (err != nil || !reflect.DeepEqual(got, want)) {
		t.Errorf("%s: %+v\nencoding/json: %+v, %v", body, got, want, err)
	}
	var whole Change
	var p *Problem
	if err := Decode([]byte(body), &whole); err != nil && !errors.As(err, &p) {
		t.Errorf("%s: %v", body, err)
	} else if quick && !reflect.DeepEqual(whole, want) {
		t.Errorf("%s: %+v, want %+v", body, whole, want)
	}
}

func FuzzPlainBodies(f *testing.F) {
	for body := range plainBodies() {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if utf8.ValidString(body) { // Decode has refused what is not
			holdToUnmarshal(t, body)
		}
	})
}
