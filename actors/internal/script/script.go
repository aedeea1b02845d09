// Package script names ids and prints messages for the golden transcripts of
// the state machines, so that a person can read them: u1 is a user, c1 a
// client, k1 a call.
package script

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

// Epoch is when every transcript begins.
var Epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // never changed

func id(n int) uuid.UUID { return uuid.UUID{14: byte(n >> 8), 15: byte(n)} }

// User returns the user called u<n>.
func User(n int) messages.UserID { return messages.UserID{UUID: id(n)} }

// Client returns the client called c<n>.
func Client(n int) messages.ClientID { return messages.ClientID{UUID: id(n)} }

// Call returns the call called k<n>.
func Call(n int) messages.CallID { return messages.CallID{UUID: id(n)} }

func name(prefix string, u uuid.UUID) string {
	return fmt.Sprintf("%s%d", prefix, int(u[14])<<8|int(u[15]))
}

// U is the name of a user.
func U(u messages.UserID) string { return name("u", u.UUID) }

// C is the name of a client.
func C(c messages.ClientID) string { return name("c", c.UUID) }

// K is the name of a call.
func K(k messages.CallID) string { return name("k", k.UUID) }

// Has reports whether the line of a transcript has the argument.
func Has(d *datadriven.TestData, key string) bool { return d.HasArg(key) }

// Int returns a numeric argument such as call=1, or call=k1; 0 without it.
func Int(t *testing.T, d *datadriven.TestData, key string) int {
	t.Helper()
	if !d.HasArg(key) {
		return 0
	}
	var s string
	d.ScanArgs(t, key, &s)
	var n int
	if _, err := fmt.Sscanf(strings.TrimLeft(s, "uck"), "%d", &n); err != nil {
		t.Fatalf("%s: argument %s=%s", d.Pos, key, s)
	}
	return n
}

// Str returns an argument, or def without it.
func Str(t *testing.T, d *datadriven.TestData, key, def string) string {
	t.Helper()
	if d.HasArg(key) {
		d.ScanArgs(t, key, &def)
	}
	return def
}

// At prints a time as what has passed since Epoch.
func At(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return "+" + at.Sub(Epoch).String()
}

// ShowCall prints a call.
func ShowCall(c messages.Call) string {
	return fmt.Sprintf("%s(%s→%s token=%d until %s)", K(c.ID), U(c.UserID), C(c.ClientID), c.Token, At(c.LeaseExpiresAt))
}

// ShowAnswer prints an answer.
func ShowAnswer(a messages.Answer) string {
	var b strings.Builder
	if a.Code == messages.OK {
		b.WriteString("ok")
	} else {
		b.WriteString(string(a.Code))
	}
	if a.Call != nil {
		fmt.Fprintf(&b, " on %s", ShowCall(*a.Call))
	}
	if a.Ended != nil {
		fmt.Fprintf(&b, " ended %s", ShowCall(*a.Ended))
	}
	if a.Caller != nil {
		fmt.Fprintf(&b, " caller %s", a.Caller.Name)
	}
	if a.Log != nil {
		b.WriteString(" log saved")
	}
	if a.Repeated {
		b.WriteString(" repeated")
	}
	return b.String()
}

// ShowWrite prints a write.
func ShowWrite(w messages.Write) string {
	kind := [...]string{"?", "claim", "release", "renew", "note"}[w.Kind]
	s := kind
	if !w.Call.IsZero() {
		s += fmt.Sprintf(" %s(%s→%s)", K(w.Call), U(w.User), C(w.Client))
	}
	if w.Token != 0 {
		s += fmt.Sprintf(" token=%d", w.Token)
	}
	if w.Lease != 0 {
		s += fmt.Sprintf(" lease=%v", w.Lease)
	}
	if w.Slack != 0 {
		s += fmt.Sprintf("+%v", w.Slack)
	}
	if w.Reason != "" {
		s += " " + string(w.Reason)
	}
	if w.Log != nil {
		s += " with log"
	}
	if w.Key != nil {
		s += " key=" + w.Key.Value
	}
	if w.Report != nil {
		s += " report=" + w.Report.ID
	}
	if w.Adopts {
		s += " adopting"
	}
	if w.Refusal != nil {
		s += " recording " + ShowAnswer(*w.Refusal)
	}
	return s
}

// ShowProtocol prints what user and client actors say to each other.
func ShowProtocol(m any) string {
	switch m := m.(type) {
	case messages.Reserve:
		return fmt.Sprintf("reserve %s for %s", K(m.Call), U(m.User))
	case messages.Withdraw:
		if m.Doubt {
			return fmt.Sprintf("withdraw %s, in doubt", K(m.Call))
		}
		return "withdraw " + K(m.Call)
	case messages.Confirm:
		return fmt.Sprintf("confirm %s by %s", ShowCall(m.Call), m.Name)
	case messages.Lost:
		return fmt.Sprintf("lost %s to %s by %s", K(m.Call), ShowCall(m.Holder.Call), m.Holder.Name)
	case messages.Released:
		return "released " + K(m.Call)
	case messages.Reserved:
		return "reserved " + K(m.Call)
	case messages.Refused:
		return fmt.Sprintf("refused %s, caller %s", K(m.Call), m.Caller.Name)
	case messages.AskHolder:
		return fmt.Sprintf("is %s on? (#%d)", K(m.Call), m.Serial)
	case messages.HolderSays:
		return fmt.Sprintf("%s is %s (#%d)", K(m.Call), m.Is, m.Serial)
	}
	return fmt.Sprintf("%+v", m)
}
