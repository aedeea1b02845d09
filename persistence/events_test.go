package persistence

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func someCall() messages.LiveCall {
	user, client := messages.UserID{UUID: uuid.New()}, messages.ClientID{UUID: uuid.New()}
	at := time.Date(2031, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	return messages.LiveCall{
		Call: messages.Call{
			ID: messages.CallID{UUID: uuid.New()}, ClientID: client, UserID: user,
			StartedAt: at, LeaseExpiresAt: at.Add(messages.DefaultLease), Token: 41,
		},
		User:   messages.User{ID: user, FirstName: "Ana", LastName: "Lopez", Email: "ana@example.com", Role: messages.RoleUser},
		Client: messages.ClientSummary{ID: client, Name: "Acme", Phone: "+14155550100", Email: "acme@example.org"},
	}
}

func TestEventsAreReadAsTheyWereWritten(t *testing.T) {
	call, other := someCall(), someCall()
	end := &messages.Write{Reason: messages.ReasonForceReleased, Disposition: "SALE"}
	outcomes := []messages.Outcome{
		{Event: StartedEvent(call)},
		{},
		{Event: EndedEvent(other, other.Call.StartedAt.Add(time.Hour), end)},
		{Event: StartedEvent(messages.LiveCall{Call: other.Call, User: messages.User{ID: other.User.ID}, Client: messages.ClientSummary{ID: other.Client.ID}})},
	}
	got, err := DecodeEvents(EncodeEvents(outcomes))
	if err != nil {
		t.Fatal(err)
	}
	want := []messages.Event{*outcomes[2].Event, *outcomes[0].Event, *outcomes[3].Event} // ends first
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if b := EncodeEvents(outcomes[1:2]); b != nil {
		t.Errorf("no events are %s", b)
	}
}

// The row is read by programs of other versions.
func TestEncodingIsStable(t *testing.T) {
	const row = `[{"t":"call.ended","at":1935904089123456,"call":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","token":41,` +
		`"start":1935904089000000,"lease":1935911289000000,"user":"6ba7b811-9dad-11d1-80b4-00c04fd430c8",` +
		`"client":"6ba7b812-9dad-11d1-80b4-00c04fd430c8","first":"Ana","mail":"ana@example.com","role":"user",` +
		`"name":"Acme \"2\"","phone":"+14155550100","reason":"completed"}]`
	events, err := DecodeEvents([]byte(row))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(EncodeEvents([]messages.Outcome{{Event: &events[0]}})); got != row {
		t.Errorf("%s\nis written as\n%s", row, got)
	}
	later := strings.Replace(row, `"token"`, `"added":{"later":[1]},"token"`, 1)
	if got, err := DecodeEvents([]byte(later)); err != nil || !cmp.Equal(got, events) {
		t.Errorf("with a field that is not known yet: %v, %+v", err, got)
	}
}

func TestDecodeEventsRefuses(t *testing.T) {
	for _, row := range []string{"", "{}", `[{"call":"x"}]`, `[{"at":1.5}]`, "[{}", "[1]"} {
		if _, err := DecodeEvents([]byte(row)); messages.CodeOf(err) != messages.CodeInternal {
			t.Errorf("%q: %v", row, err)
		}
	}
}

// What is encoded by hand is JSON, and means what it says, whatever the texts.
func FuzzEvents(f *testing.F) {
	f.Add("Ana", `"quoted" \ and <b>`, "José 🎯\u2028\x7f\n\x00", int64(1), int64(1_700_000_000_000_000))
	f.Add("", "\\u0000", "\t", int64(math.MaxInt64), int64(0))
	f.Fuzz(func(t *testing.T, name, phone, disposition string, token, us int64) {
		call := someCall()
		call.User.FirstName, call.Client.Name, call.Client.Phone = name, name, phone
		call.Call.Token = token
		call.Call.StartedAt = time.UnixMicro(us % (1 << 60)).UTC()
		w := &messages.Write{Reason: messages.ReasonCompleted, Disposition: disposition}
		want := []messages.Event{*EndedEvent(call, call.Call.StartedAt, w)}
		b := EncodeEvents([]messages.Outcome{{Event: &want[0]}})
		if !json.Valid(b) {
			t.Fatalf("not JSON: %s", b)
		}
		got, err := DecodeEvents(b)
		if err != nil {
			t.Fatal(err)
		}
		if !validUTF8(name, phone, disposition) {
			return // stores hold no such text
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func validUTF8(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

func TestFillLog(t *testing.T) {
	call := someCall().Call
	ended, given, seconds := call.StartedAt.Add(90*time.Second+999*time.Millisecond), call.StartedAt.Add(time.Second), 7
	var log messages.CallLog
	FillLog(&log, call, ended)
	if !log.CallStartedAt.Equal(call.StartedAt) || !log.CallEndedAt.Equal(ended) || *log.CallDuration != 90 {
		t.Errorf("%+v", log)
	}
	log = messages.CallLog{CallStartedAt: &given, CallEndedAt: &given, CallDuration: &seconds}
	FillLog(&log, call, ended)
	if log.CallStartedAt != &given || log.CallEndedAt != &given || *log.CallDuration != 7 {
		t.Errorf("%+v", log)
	}
}

func BenchmarkEncodeEvents(b *testing.B) {
	outcomes := make([]messages.Outcome, 500)
	for i := range outcomes {
		outcomes[i].Event = StartedEvent(someCall())
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(EncodeEvents(outcomes))))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(500*b.N), "ns/event")
}

func BenchmarkDecodeEvents(b *testing.B) {
	outcomes := make([]messages.Outcome, 500)
	for i := range outcomes {
		outcomes[i].Event = StartedEvent(someCall())
	}
	row := EncodeEvents(outcomes)
	b.SetBytes(int64(len(row)))
	for b.Loop() {
		if _, err := DecodeEvents(row); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(500*b.N), "ns/event")
}
