package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/messages"
)

var update = flag.Bool("update", false, "add the bytes of messages that have none yet")

// everything is a message of each kind, with each field set.
func everything() map[string]any {
	id := func(n byte) uuid.UUID { return uuid.UUID{n, 15: n} }
	at := time.Date(2026, 11, 22, 13, 14, 15, 123456000, time.UTC)
	u, c, call, log := messages.UserID{UUID: id(1)}, messages.ClientID{UUID: id(2)}, messages.CallID{UUID: id(3)}, messages.LogID{UUID: id(4)}
	key := &messages.Key{Caller: "user:1", Value: "key", Digest: [32]byte{1, 2, 3}}
	report := messages.Report{Source: "pbx", ID: "e1", CallRef: "r1", OccurredAt: at}
	held := messages.Call{ID: call, ClientID: c, UserID: u, StartedAt: at, LeaseExpiresAt: at.Add(time.Hour), Token: 7}
	caller := &messages.Caller{ID: u, Name: "Ana Alvarez", CallStartedAt: at}
	seconds := 42
	saved := messages.CallLog{
		ID: log, ClientID: c, UserID: u, CallID: &call, CallType: "outbound", CallStatus: "completed", CallDuration: &seconds,
		Notes: "ö", CallbackRequested: true, CallbackTime: &at, CallStartedAt: &at, CallEndedAt: &at, CreatedAt: at,
	}
	audit := &messages.Audit{At: at, By: "user:1", Action: "call.force_released", Subject: "user:2", Detail: json.RawMessage(`{"a":1}`)}
	return map[string]any{
		"start_call":  messages.StartCall{User: u, Client: c, Call: call, Lease: time.Minute, Key: key},
		"start_again": wire.StartAgain{Start: messages.StartCall{User: u, Client: c, Call: call, Lease: time.Minute}},
		"end_call": messages.EndCall{
			User: u, Call: call, Token: 7, Reason: messages.ReasonCompleted, Disposition: "sale", Notes: "n", Audit: audit, Key: key,
		},
		"save_log":       messages.SaveLog{User: u, Log: saved, Key: key},
		"renew_call":     messages.RenewCall{User: u, Call: call, Token: 7, Lease: time.Minute, Key: key},
		"report_started": messages.ReportStarted{User: u, Client: c, Call: call, Lease: time.Minute, Report: report},
		"report_ended":   messages.ReportEnded{User: u, Client: c, Call: call, Disposition: "sale", Report: report},
		"check":          wire.Check{Client: c},
		"forget":         wire.Forget{Client: c},
		"answer": messages.Answer{
			Code: messages.CodeUserOnCall, Call: &held, Ended: &held, Caller: caller, Log: &saved, Repeated: true,
		},
		"availability": messages.Availability{Code: messages.CodeClientNotFound, Caller: caller},
		"reserve":      messages.Reserve{Client: c, User: u, Call: call},
		"withdraw":     messages.Withdraw{Client: c, Call: call, Doubt: true},
		"confirm":      messages.Confirm{Call: held, Name: "Ana"},
		"lost":         messages.Lost{Client: c, Call: call, Holder: messages.HeldClaim{Call: held, Name: "Ana", Lease: time.Hour}},
		"released":     messages.Released{Client: c, Call: call},
		"holder_says": messages.HolderSays{
			Client: c, Call: call, Serial: 9, Is: messages.StandingOn, Held: messages.HeldClaim{Call: held, Name: "Ana", Lease: time.Hour},
		},
		"reserved":   messages.Reserved{User: u, Call: call, Client: c},
		"refused":    messages.Refused{User: u, Call: call, Caller: caller},
		"ask_holder": messages.AskHolder{User: u, Client: c, Call: call, Serial: 9},
		"again":      wire.Again{User: u, Call: call},
	}
}

// TestGolden holds the bytes of every message to those that released versions send and
// understand.
func TestGolden(t *testing.T) {
	codec := wire.NewCodec()
	for name, m := range everything() {
		t.Run(name, func(t *testing.T) {
			version := since(t, codec, m)
			path := filepath.Join("testdata", fmt.Sprintf("v%d_%s.hex", version, name))
			b, err := codec.Encode(m, version, 1500*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) && *update { // what is there is never changed
				golden = []byte(hex.EncodeToString(b) + "\n")
				err = os.WriteFile(path, golden, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			want, err := hex.DecodeString(strings.TrimSpace(string(golden)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, want) {
				t.Errorf("the bytes have changed: nodes of an earlier version get\n%x\ninstead of\n%x", b, want)
			}
			got, about, err := codec.Decode(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("it comes out otherwise:\n%s", diff)
			}
			if about.Version != version || about.Within != 1500*time.Millisecond {
				t.Errorf("about it: %+v", about)
			}
		})
	}
}

// since is the first version that has a kind of message.
func since(t testing.TB, codec *wire.Codec, m any) int {
	t.Helper()
	for version := 1; version <= wire.Version; version++ {
		if _, err := codec.Encode(m, version, 0); err == nil {
			return version
		}
	}
	t.Fatalf("no version has %T", m)
	return 0
}

// TestFieldsOfALaterVersionAreSkipped: a node that is updated later is told more than it
// knows.
func TestFieldsOfALaterVersionAreSkipped(t *testing.T) {
	type later struct {
		User, Call uuid.UUID
		Mood       string
		Nested     map[string]any
	}
	id := uuid.New()
	body, err := msgpack.Marshal(later{User: id, Call: id, Mood: "fine", Nested: map[string]any{"a": []int{1}}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := msgpack.Marshal(map[string]any{"v": 1, "k": 33, "w": 5, "b": msgpack.RawMessage(body), "later": "x"})
	if err != nil {
		t.Fatal(err)
	}
	m, about, err := wire.NewCodec().Decode(b)
	want := wire.Again{User: messages.UserID{UUID: id}, Call: messages.CallID{UUID: id}}
	if err != nil || m != want || about.Within != 5*time.Millisecond {
		t.Errorf("got %v, %v, %v", m, about, err)
	}
}

// TestNothingNewIsSentToAnEarlierVersion: and what comes from a later one is refused, not
// guessed.
func TestNothingNewIsSentToAnEarlierVersion(t *testing.T) {
	codec := wire.NewCodec()
	if _, err := codec.Encode(wire.Again{}, 0, 0); !errors.Is(err, wire.ErrNotUnderstood) {
		t.Errorf("to a node that speaks nothing: %v", err)
	}
	if _, err := codec.Encode(wire.StartAgain{}, 1, 0); !errors.Is(err, wire.ErrNotUnderstood) {
		t.Errorf("to a node of the first version, which would take it for a start: %v", err)
	}
	for what, envelope := range map[string]map[string]any{
		"version": {"v": 99, "k": 1, "b": msgpack.RawMessage{0x80}},
		"kind":    {"v": 1, "k": 200, "b": msgpack.RawMessage{0x80}},
		"body":    {"v": 1, "k": 1, "b": msgpack.RawMessage{0x01}},
	} {
		b, err := msgpack.Marshal(envelope)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := codec.Decode(b); !errors.Is(err, wire.ErrNotUnderstood) {
			t.Errorf("an unknown %s: %v", what, err)
		}
	}
}

// FuzzDecode: nothing that comes over a network stops a node.
func FuzzDecode(f *testing.F) {
	codec := wire.NewCodec()
	for _, m := range everything() {
		b, err := codec.Encode(m, wire.Version, time.Second)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := codec.Decode(b); err != nil && !errors.Is(err, wire.ErrNotUnderstood) {
			t.Error(err)
		}
	})
}
