package eventjson_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/internal/eventjson"
	"github.com/dibs-calls/dibs/messages"
)

// event fills every field, with the text in all that are texts.
func event(r *rand.Rand, text string) messages.Event {
	at := func() time.Time {
		t := time.Unix(r.Int64N(1<<36)-1<<34, r.Int64N(1e9))
		switch r.IntN(3) {
		case 0:
			return t.UTC()
		case 1:
			return t.UTC().Truncate(time.Millisecond)
		}
		return t.In(time.FixedZone("", (r.IntN(26*60)-13*60)*60))
	}
	id := func() (u uuid.UUID) {
		for i := range u {
			u[i] = byte(r.Uint32())
		}
		return u
	}
	call := messages.Call{
		ID: messages.CallID{UUID: id()}, ClientID: messages.ClientID{UUID: id()}, UserID: messages.UserID{UUID: id()},
		StartedAt: at(), LeaseExpiresAt: at(), Token: r.Int64() - r.Int64(),
	}
	return messages.Event{
		ID: text, Type: messages.EventType(text), At: at(), Call: call,
		User:   messages.User{ID: messages.UserID{UUID: id()}, FirstName: text, LastName: text, Email: text, Role: messages.Role(text)},
		Client: messages.ClientSummary{ID: messages.ClientID{UUID: id()}, Name: text, Phone: text, Email: text},
		Reason: messages.EndReason(text), Disposition: text,
		Refusal: &messages.Refusal{
			Code: messages.Code(text), Source: text, ID: text, CallRef: text, Call: &call,
			Caller: &messages.Caller{ID: call.UserID, Name: text, CallStartedAt: at()},
		},
	}
}

func check(t *testing.T, e *messages.Event) {
	t.Helper()
	want, wantErr := json.Marshal(e)
	got, err := eventjson.Append([]byte("before"), e)
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if err == nil && !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Fatalf("got  %s\nwant before%s", got, want)
	}
	call := messages.LiveCall{Call: e.Call, User: e.User, Client: e.Client}
	for _, calls := range [][]messages.LiveCall{nil, {}, {call}, {call, {}, call}} {
		all := &messages.Snapshot{Calls: calls, Stale: len(calls) == 1}
		want, wantErr = json.Marshal(all)
		if got, err = eventjson.AppendSnapshot(nil, all); (err != nil) != (wantErr != nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("got  %s, %v\nwant %s, %v", got, err, want, wantErr)
		}
	}
}

func FuzzAsEncodingJSON(f *testing.F) {
	for _, s := range []string{
		"", "Erika Mustermann", "Jürgen 😀", `"quoted" \ <b>&amp;</b>`, "line\nbreak\ttab\x00\x1f\x7f\b\f\r",
		"\xff\xfe", "\u2028 and \u2029", "\ufffd", "a\xc3", "\u00e2\u0080\u00a8", "call.started",
	} {
		f.Add(s, uint64(len(s)))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := event(r, text)
		check(t, &e)
		e.Refusal, e.Reason, e.Disposition = nil, "", ""
		check(t, &e)
	})
}

// Times that RFC 3339 has no form for, and those just within.
func TestOddTimes(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 24*3600)), time.Date(2026, 1, 1, 0, 0, 0, 1, time.FixedZone("", 30)),
	} {
		base := event(rand.New(rand.NewPCG(1, 2)), "x")
		for _, set := range []func(e *messages.Event){
			func(e *messages.Event) { e.At = at }, func(e *messages.Event) { e.Call.StartedAt = at },
			func(e *messages.Event) { e.Call.LeaseExpiresAt = at }, func(e *messages.Event) { e.Refusal.Call.StartedAt = at },
		} {
			e := base
			refusal, call := *base.Refusal, *base.Refusal.Call
			refusal.Call, e.Refusal = &call, &refusal
			set(&e)
			check(t, &e)
		}
	}
}

// A field that is added to an event has to be written here, too: nothing is left out
// that event does not fill.
func TestEveryFieldIsFilled(t *testing.T) {
	e := event(rand.New(rand.NewPCG(3, 4)), "x")
	var look func(v reflect.Value, path string)
	look = func(v reflect.Value, path string) {
		if v.IsZero() {
			t.Errorf("%s is zero in the test's event", path)
		}
		switch {
		case v.Kind() == reflect.Pointer:
			look(v.Elem(), path)
		case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
			for i := range v.NumField() {
				look(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		}
	}
	look(reflect.ValueOf(e), "Event")
}

func BenchmarkAppend(b *testing.B) {
	e := event(rand.New(rand.NewPCG(5, 6)), "Erika Mustermann")
	e.Refusal = nil
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = eventjson.Append(buf[:0], &e); err != nil {
			b.Fatal(err)
		}
	}
}
