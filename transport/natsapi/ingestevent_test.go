package natsapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"
	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/messages"
)

// TestReadEvents reads the events of testdata/ingest; -rewrite renews what is
// made of them.
func TestReadEvents(t *testing.T) {
	datadriven.Walk(t, "testdata/ingest", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			e, why := readEvent(ingestPrefix+d.CmdArgs[0].Key, nil, []byte(d.Input), "US")
			if why != nil {
				return fmt.Sprintf("%s: %s\n", why.reason, why.sentence)
			}
			return showEvent(e)
		})
	})
}

func showEvent(e callEvent) string {
	var b strings.Builder
	line := func(name string, value any, shown bool) {
		if shown {
			fmt.Fprintf(&b, "%s: %v\n", name, value)
		}
	}
	line("kind", e.kind, true)
	line("source", e.report.Source, true)
	line("id", e.report.ID, true)
	line("call", fmt.Sprintf("%s (%s)", e.report.CallRef, e.report.Call()), true)
	line("occurred", e.report.OccurredAt.Format(time.RFC3339Nano), true)
	line("user", e.user, !e.user.IsZero())
	line("e-mail", e.email, e.email != "")
	line("client", e.client, !e.client.IsZero())
	line("phone", e.phone, e.phone != "")
	line("lease", e.lease, e.lease != 0)
	line("disposition", e.disposition, e.disposition != "")
	return b.String()
}

func TestEventsBeyondAllBounds(t *testing.T) {
	long := strings.Repeat("x", maxReport)
	data := `{"user_email":"ana@example.com","client_phone":"2025550123","call_ref":"1","occurred_at":"2026-03-04T05:06:07Z"}`
	for name, tc := range map[string]struct {
		subject, body string
		header        nats.Header
	}{
		"body":        {IngestStarted, cloud("call.started", "1", `{"x":"`+long+`"}`), nil},
		"id":          {IngestStarted, cloud("call.started", long[:maxEventID+1], data), nil},
		"call_ref":    {IngestStarted, cloud("call.started", "1", strings.Replace(data, `"1"`, `"`+long[:maxCallRef+1]+`"`, 1)), nil},
		"e-mail":      {IngestStarted, cloud("call.started", "1", strings.Replace(data, "ana", long[:maxEmail], 1)), nil},
		"phone":       {IngestStarted, cloud("call.started", "1", strings.Replace(data, "2025550123", strings.Repeat("2", maxPhone+1), 1)), nil},
		"disposition": {IngestStarted, cloud("call.started", "1", data[:len(data)-1]+`,"disposition":"`+long[:201]+`"}`), nil},
		"subject":     {ingestPrefix + long[:2000], "{}", nil},
		"depth":       {IngestStarted, cloud("call.started", "1", strings.Repeat(`{"a":`, 12_000)+"1"), nil},
		"binary mode": {IngestStarted, data, nats.Header{"Ce-Specversion": {"1.0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, why := readEvent(tc.subject, tc.header, []byte(tc.body), "US")
			if name == "binary mode" {
				_, why = readEvent(tc.subject, nats.Header{"ce-specversion": {"1.0"}}, []byte(tc.body), "US")
			}
			if why == nil || why.reason != ReasonMalformed {
				t.Fatalf("it was taken: %v", why)
			}
			if len(why.sentence) > 400 || !utf8.ValidString(why.sentence) {
				t.Errorf("what is said of it has %d bytes", len(why.sentence))
			}
		})
	}
}

// TestLatestTimesAreTaken: what may be read may be kept.
func TestLatestTimesAreTaken(t *testing.T) {
	body := cloud("call.started", "1", `{"user_email":"a","client_phone":"2025550123","call_ref":"1","occurred_at":"9999-12-31T23:59:59.9999999Z"}`)
	e, why := readEvent(IngestStarted, nil, []byte(body), "US")
	if why != nil {
		t.Fatal(why)
	}
	if y := e.report.OccurredAt.Year(); y != 9999 {
		t.Errorf("the year is %d", y)
	}
}

func FuzzReadEvent(f *testing.F) {
	good := cloud("call.started", "1", `{"user_email":"ana@example.com","client_phone":"2025550123","call_ref":"1","occurred_at":"2026-03-04T05:06:07Z","lease_seconds":60,"disposition":"x"}`)
	f.Add(IngestStarted, "Content-Type", "application/cloudevents+json", []byte(good))
	f.Add(IngestEnded, "ce-specversion", "1.0", []byte(`{"specversion":"1.0"}`))
	f.Add("dibs.ingest.", "", "", []byte("null"))
	f.Fuzz(func(t *testing.T, subject, header, value string, body []byte) {
		e, why := readEvent(subject, nats.Header{header: {value}}, body, "US")
		if why != nil {
			if why.reason != ReasonMalformed || why.sentence == "" || len(why.sentence) > 2000 {
				t.Fatalf("refused as %q: %q", why.reason, why.sentence)
			}
			return
		}
		r := e.report
		switch {
		case e.kind != messages.EventCallStarted && e.kind != messages.EventCallEnded:
			t.Fatalf("taken as %q", e.kind)
		case !plain(r.Source, maxSource), !plain(r.ID, maxEventID), !plain(r.CallRef, maxCallRef):
			t.Fatalf("taken with names that cannot be kept: %q", r)
		case e.user.IsZero() == (e.email == ""):
			t.Fatal("taken without a user")
		case e.kind == messages.EventCallStarted && e.client.IsZero() == (e.phone == ""):
			t.Fatal("a start was taken without a client")
		case r.OccurredAt.Year() < 1970 || r.OccurredAt.Year() > 9999 || r.OccurredAt.Nanosecond()%1000 != 0:
			t.Fatalf("taken with the time %s", r.OccurredAt)
		case r.Call().IsZero():
			t.Fatal("the call has no id")
		case strings.ContainsRune(e.disposition+e.email, 0) || !utf8.ValidString(e.disposition+e.email):
			t.Fatal("taken with a text that cannot be kept")
		}
	})
}

// FuzzDeadLetter: whatever headers and reasons there are, a letter is one that a
// server takes, and says where it came from.
func FuzzDeadLetter(f *testing.F) {
	f.Add("dibs.ingest.call.started", "X-Trunk", "7", "why")
	f.Add("dibs.ingest.x", "nats-msg-id", "1\r\nDibs-Reason: forged", "two\r\nlines")
	f.Fuzz(func(t *testing.T, subject, header, value, why string) {
		if strings.ContainsAny(subject, " \t\r\n") {
			return // is no subject
		}
		msg := nats.NewMsg(subject)
		msg.Header[header] = []string{value}
		letter := deadLetter(receivedMsg{msg}, metaOf(7), &rejection{ReasonMalformed, why}, 1<<20)
		for name, values := range letter.Header {
			for _, v := range values {
				if reservedHeader(name) && strings.ContainsAny(v, "\r\n") {
					t.Fatalf("the header %q would break the letter: %q", name, v)
				}
			}
		}
		if letter.Subject != deadPrefix+subject || letter.Header.Get(headerReason) != string(ReasonMalformed) {
			t.Fatalf("the letter is %+v", letter)
		}
	})
}

var errNotHere = errors.New("not in this test")
