package natsapi

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// encoded is the message of an event.
func encoded(e messages.Event, reduced string) (*nats.Msg, error) {
	return newEncoder().encode(&e, reduced)
}

// What other programs see, byte for byte except for line breaks.
func TestGoldenMessages(t *testing.T) {
	refused := natstest.Started(3, 0)
	refused.Type, refused.ID = messages.EventCallRefused, "6ba7b810-9dad-11d1-80b4-00c04fd430c8/call.refused"
	refused.Call.Token, refused.Call.StartedAt, refused.Call.LeaseExpiresAt = 0, time.Time{}, time.Time{}
	refused.Refusal = &messages.Refusal{
		Code: messages.CodeClientBeingCalled, Source: "/pbx/7", ID: "e-1", CallRef: "sip:77@trunk",
		Caller: &messages.Caller{ID: refused.Call.UserID, Name: "Ben Baker", CallStartedAt: refused.At},
	}
	zone := natstest.Ended(4, 1)
	zone.At = zone.At.In(time.FixedZone("", 3600))
	zone.Client.Name = "Zoë <b>& Söhne</b>"
	for _, c := range []struct {
		name    string
		event   messages.Event
		reduced string
	}{
		{"started", natstest.Started(1, 0), ""},
		{"ended", natstest.Ended(1, 0), ""},
		{"refused", refused, ""},
		{"refused_reduced", refused, reasonSize},
		{"ended_zone_markup", zone, ""},
		{"ended_reduced", natstest.Ended(1, 0), reasonSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			msg, err := encoded(c.event, c.reduced)
			if err != nil {
				t.Fatal(err)
			}
			asEncodingJSON(t, msg.Data)
			var text bytes.Buffer
			text.WriteString(msg.Subject + "\n")
			var headers []string
			for key, values := range msg.Header {
				headers = append(headers, key+": "+strings.Join(values, ", "))
			}
			slices.Sort(headers)
			text.WriteString(strings.Join(headers, "\n") + "\n\n")
			if err := json.Indent(&text, msg.Data, "", "  "); err != nil {
				t.Fatal(err)
			}
			text.WriteByte('\n')
			golden(t, filepath.Join("testdata", c.name+".golden"), text.Bytes())
		})
	}
}

// asEncodingJSON checks that a message is what encoding/json makes of the same event.
func asEncodingJSON(t *testing.T, data []byte) {
	t.Helper()
	var event cloudEvent
	if err := json.Unmarshal(data, &event); err != nil {
		t.Fatal(err)
	}
	if want, err := json.Marshal(event); err != nil || !bytes.Equal(data, want) {
		t.Errorf("got  %s\nwant %s, %v", data, want, err)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if rewriting() {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-rewrite renews it):\n%s", file, diff)
	}
}

func TestDecodeGivesBackWhatEncodeTook(t *testing.T) {
	for _, e := range []messages.Event{natstest.Started(1, 0), natstest.Ended(2, 7)} {
		msg, err := encoded(e, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(msg.Data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Error(diff)
		}
	}
}

// Whatever an event says, its reduced form can be published.
func TestReducedEventsCanAlwaysBeEncoded(t *testing.T) {
	never := time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, change := range map[string]func(*messages.Event){
		"nothing":       func(e *messages.Event) { *e = messages.Event{} },
		"times":         func(e *messages.Event) { e.At, e.Call.StartedAt, e.Call.LeaseExpiresAt = never, never, never },
		"type":          func(e *messages.Event) { e.Type = "a b.>\r\n*" },
		"empty tokens":  func(e *messages.Event) { e.Type = "call..started" },
		"reason":        func(e *messages.Event) { e.Reason = messages.EndReason(strings.Repeat("x", 1<<20)) },
		"id":            func(e *messages.Event) { e.ID = strings.Repeat("i", 1<<20) },
		"header in id":  func(e *messages.Event) { e.ID = "x\r\nNats-Rollup: all" },
		"broken UTF-8":  func(e *messages.Event) { e.Client.Name = "\xff\xfe" },
		"ids elsewhere": func(e *messages.Event) { e.Call.ClientID, e.Call.UserID = messages.ClientID{}, messages.UserID{} },
	} {
		t.Run(name, func(t *testing.T) {
			e := natstest.Ended(1, 0)
			change(&e)
			msg, err := encoded(e, reasonNo)
			if err != nil {
				t.Fatal(err)
			}
			asEncodingJSON(t, msg.Data)
			if n := len(strings.Split(msg.Subject, ".")); n != 6 || strings.ContainsAny(msg.Subject, " *>\r\n") {
				t.Errorf("subject %q", msg.Subject)
			}
			if len(msg.Data) > 2048 {
				t.Errorf("%d bytes", len(msg.Data))
			}
			if id := msg.Header.Get("Nats-Msg-Id"); id == "" || strings.ContainsAny(id, "\r\n") {
				t.Errorf("id %q", id)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range []messages.Event{natstest.Started(1, 0), natstest.Ended(1, 0)} {
		msg, err := encoded(e, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg.Data)
	}
	f.Add([]byte(`{"specversion":"1.0","data":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := decode(body)
		if err != nil {
			return
		}
		if e.ID == "" || e.Call.ID.IsZero() {
			t.Fatal("an event that is about nothing")
		}
		if _, err := encoded(e, reasonNo); err != nil {
			t.Fatal(err)
		}
	})
}
