package persistence

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
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
	got := decoded(t, EncodeEvents(outcomes, 0))
	want := []messages.Event{*outcomes[2].Event, *outcomes[0].Event, *outcomes[3].Event} // ends first
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if rows := EncodeEvents(outcomes[1:2], 0); rows != nil {
		t.Errorf("no events are %x", rows)
	}
}

// decoded reads rows in their order.
func decoded(t *testing.T, rows [][]byte) (all []messages.Event) {
	t.Helper()
	for _, row := range rows {
		events, err := DecodeEvents(row)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, events...)
	}
	return all
}

// Rows are as full as they may be, and an event that is too large for any stands
// alone.
func TestEncodeEventsSplits(t *testing.T) {
	const limit = 1000
	outcomes := make([]messages.Outcome, 60)
	var want []messages.Event
	for i := range outcomes {
		call := someCall()
		if i == 30 {
			call.Client.Name = strings.Repeat("long ", limit)
		}
		outcomes[i].Event = StartedEvent(call)
		want = append(want, *outcomes[i].Event)
	}
	rows := EncodeEvents(outcomes, limit)
	if diff := cmp.Diff(want, decoded(t, rows)); diff != "" {
		t.Error(diff)
	}
	size := func(row []byte) int { return len(row) }
	small, large := 0, 0
	for i, row := range rows {
		switch {
		case size(row) > limit:
			large++
			if got := decoded(t, rows[i:i+1]); len(got) != 1 {
				t.Errorf("%d events in a row of %d bytes", len(got), len(row))
			}
		case size(row) < limit*3/4:
			small++
		}
	}
	if large != 1 || small > 2 { // the one before the long event, and the last
		t.Errorf("%d rows are too large, %d small", large, small)
	}
}

// The row is read by programs of other versions.
func TestEncodingIsStable(t *testing.T) {
	id := uuid.MustParse
	at := time.Date(2031, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	call := messages.LiveCall{
		Call: messages.Call{
			ID:     messages.CallID{UUID: id("6ba7b810-9dad-11d1-80b4-00c04fd430c8")},
			UserID: messages.UserID{UUID: id("6ba7b811-9dad-11d1-80b4-00c04fd430c8")}, ClientID: messages.ClientID{UUID: id("6ba7b812-9dad-11d1-80b4-00c04fd430c8")},
			Token: 41, StartedAt: at.Add(-time.Minute), LeaseExpiresAt: at.Add(time.Hour),
		},
		User:   messages.User{FirstName: "Ana", LastName: "Łopez", Email: "ana@example.com", Role: messages.RoleUser},
		Client: messages.ClientSummary{Name: `Acme "2"`, Phone: "+14155550100", Email: "acme@example.org"},
	}
	call.User.ID, call.Client.ID = call.Call.UserID, call.Call.ClientID
	refused := &messages.Write{
		Call: call.Call.ID, User: call.Call.UserID, Client: call.Call.ClientID,
		Report: &messages.Report{Source: "//pbx", ID: "7", CallRef: "r1"},
	}
	events := []messages.Outcome{
		{Event: EndedEvent(call, at, &messages.Write{Reason: messages.ReasonCompleted, Disposition: "SALE"})},
		{Event: StartedEvent(call)},
		{Event: RefusedEvent(call, at, refused, messages.Answer{Code: messages.CodeUserOnCall})},
	}
	got := EncodeEvents(events, 0)
	golden, err := os.ReadFile("testdata/outbox-row.hex")
	if err != nil {
		t.Fatal(err)
	}
	row, err := hex.DecodeString(strings.ReplaceAll(string(golden), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || !bytes.Equal(got[0], row) {
		t.Fatalf("the row is\n%x", got)
	}
	later := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "added later")
	later = protowire.AppendFixed64(protowire.AppendTag(later, 98, protowire.Fixed64Type), 1)
	first, n := protowire.ConsumeBytes(row[1:])
	inside := protowire.AppendTag(nil, 1, protowire.BytesType)
	inside = protowire.AppendBytes(inside, append(slices.Clone(first), later...))
	inside = append(append(inside, row[1+n:]...), later...)
	if diff := cmp.Diff(decoded(t, got), decoded(t, [][]byte{inside})); diff != "" {
		t.Errorf("with fields that are not known yet: %s", diff)
	}
}

func TestDecodeEventsRefuses(t *testing.T) {
	good := EncodeEvents([]messages.Outcome{{Event: StartedEvent(someCall())}}, 0)[0]
	for name, row := range map[string][]byte{
		"nothing": nil, "text": []byte("[{}]"), "cut": good[:len(good)-1], "no event": {0x10, 1}, "an empty event": {0x0a, 0},
		"an unknown type": {0x0a, 2, 0x08, 99}, "a short id": {0x0a, 5, 0x08, 1, 0x1a, 1, 7},
	} {
		if events, err := DecodeEvents(row); messages.CodeOf(err) != messages.CodeInternal || len(events) > 0 {
			t.Errorf("%s: %v, %+v", name, err, events)
		}
	}
}

// What can be read of a row is, whatever else stands in it.
func TestDecodeEventsKeepsWhatItCanRead(t *testing.T) {
	call := someCall()
	good := EncodeEvents([]messages.Outcome{{Event: StartedEvent(call)}}, 0)[0]
	array := func(rows ...string) []byte { return []byte("[" + strings.Join(rows, ",") + "]") }
	one, err := json.Marshal(eventRow{CallID: call.Call.ID, StartedAt: call.Call.StartedAt})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string][]byte{
		"behind an unknown type": append([]byte{0x0a, 2, 0x08, 99}, good...), "before an empty event": append(slices.Clone(good), 0x0a, 0),
		"before what was cut off": append(slices.Clone(good), good[:len(good)-1]...), "between others": slices.Concat([]byte{0x0a, 0}, good, []byte{0x0a, 0}),
		"in an array": array("{}", string(one), `{"call_id":7}`),
	} {
		if events, err := DecodeEvents(row); messages.CodeOf(err) != messages.CodeInternal || len(events) != 1 || events[0].Call.ID != call.Call.ID {
			t.Errorf("%s: %v, %+v", name, err, events)
		}
	}
}

// Whatever is written is read as it was.
func FuzzEvents(f *testing.F) {
	f.Add("Ana", `"quoted" \ and <b>`, "José 🎯\u2028\x7f\n\x00", int64(1), int64(1_700_000_000_000_000))
	f.Add("", "\xff", "\t", int64(math.MaxInt64), int64(0))
	f.Fuzz(func(t *testing.T, name, phone, disposition string, token, us int64) {
		call := someCall()
		call.User.FirstName, call.Client.Name, call.Client.Phone = name, name, phone
		call.Call.Token = token
		call.Call.StartedAt = time.UnixMicro(us % (1 << 60)).UTC()
		w := &messages.Write{Reason: messages.ReasonCompleted, Disposition: disposition}
		want := []messages.Event{*EndedEvent(call, call.Call.StartedAt, w)}
		if diff := cmp.Diff(want, decoded(t, EncodeEvents([]messages.Outcome{{Event: &want[0]}}, 100))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Nothing that somebody else wrote into the outbox brings the reader down.
func FuzzDecodeEvents(f *testing.F) {
	f.Add(EncodeEvents([]messages.Outcome{{Event: StartedEvent(someCall())}}, 0)[0])
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, row []byte) {
		if events, err := DecodeEvents(row); err == nil && len(events) == 0 {
			t.Errorf("%v, %d events", err, len(events))
		}
	})
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
		b.SetBytes(int64(len(EncodeEvents(outcomes, 0)[0])))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(500*b.N), "ns/event")
}

func BenchmarkDecodeEvents(b *testing.B) {
	outcomes := make([]messages.Outcome, 500)
	for i := range outcomes {
		outcomes[i].Event = StartedEvent(someCall())
	}
	row := EncodeEvents(outcomes, 0)[0]
	b.SetBytes(int64(len(row)))
	for b.Loop() {
		if _, err := DecodeEvents(row); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(500*b.N), "ns/event")
}
