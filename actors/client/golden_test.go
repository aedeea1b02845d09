package client_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/script"
	"github.com/dibs-calls/dibs/messages"
)

// TestTranscripts replays testdata; `go test ./actors/client -rewrite` writes
// the transcripts anew.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := &player{now: script.Epoch, state: client.New(script.Client(1), 0, false)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			p.t, p.d = t, d
			return p.play()
		})
	})
}

// player speaks for everybody around one client actor: c1.
type player struct {
	t     *testing.T
	d     *datadriven.TestData
	now   time.Time
	state client.State
}

func (p *player) play() string {
	if p.d.Cmd == "pass" { // time passes
		d, err := time.ParseDuration(p.d.CmdArgs[0].Key)
		if err != nil {
			p.t.Fatal(err)
		}
		p.now = p.now.Add(d)
		return ""
	}
	if p.d.Cmd == "shared" { // the store, from the next life on
		p.state = client.New(script.Client(1), 0, true)
		return ""
	}
	var effects []client.Effect
	p.state, effects = client.Step(p.state, p.now, p.message(), nil)
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintln(&b, show(e))
	}
	fmt.Fprintf(&b, "[%v]\n", p.state.Phase())
	return b.String()
}

func show(e client.Effect) string {
	switch e := e.(type) {
	case client.LookUp:
		return fmt.Sprintf("look up (#%d)", e.Serial)
	case client.Remind:
		return fmt.Sprintf("remind after %v", e.After)
	case client.Reply:
		return fmt.Sprintf("reply to %v: %s", e.To, showAvailability(e.Availability))
	case messages.ForUser:
		return fmt.Sprintf("to %s: %s", script.U(e.ToUser()), script.ShowProtocol(e))
	}
	return fmt.Sprintf("%T?", e)
}

func showAvailability(a messages.Availability) string {
	switch {
	case a.Code != messages.OK:
		return string(a.Code)
	case a.Caller != nil:
		return "being called by " + a.Caller.Name
	}
	return "available"
}

func (p *player) int(key string) int { return script.Int(p.t, p.d, key) }

func (p *player) standing() messages.Standing {
	for _, s := range []messages.Standing{messages.StandingUnsure, messages.StandingOn, messages.StandingOff} {
		if script.Has(p.d, s.String()) {
			return s
		}
	}
	p.t.Fatalf("%s: on, off or unsure?", p.d.Pos)
	return 0
}

func (p *player) claim() messages.HeldClaim {
	return messages.HeldClaim{
		Call: messages.Call{
			ID: script.Call(p.int("call")), ClientID: script.Client(1), UserID: script.User(p.int("user")),
			StartedAt: p.now, LeaseExpiresAt: p.now.Add(messages.DefaultLease), Token: int64(p.int("token")),
		},
		Name: fmt.Sprintf("User %d", p.int("user")), Lease: messages.DefaultLease,
	}
}

func (p *player) message() client.Message {
	c1, call, serial := script.Client(1), script.Call(p.int("call")), uint64(p.int("serial"))
	switch p.d.Cmd {
	case "reserve":
		return messages.Reserve{Client: c1, User: script.User(p.int("user")), Call: call}
	case "withdraw":
		return messages.Withdraw{Client: c1, Call: call, Doubt: script.Has(p.d, "doubt")}
	case "confirm":
		claim := p.claim()
		return messages.Confirm{Call: claim.Call, Name: claim.Name}
	case "lost":
		holder := p.claim()
		holder.ID = script.Call(p.int("holder"))
		return messages.Lost{Client: c1, Call: call, Holder: holder}
	case "released":
		return messages.Released{Client: c1, Call: call}
	case "says":
		return messages.HolderSays{Client: c1, Call: call, Serial: serial, Is: p.standing(), Held: p.claim()}
	case "check":
		return client.Check{Asker: script.Str(p.t, p.d, "ask", "a")}
	case "give-up":
		return client.GiveUp{Asker: script.Str(p.t, p.d, "ask", "a")}
	case "looked-up":
		m := client.LookedUp{Serial: serial, Exists: !script.Has(p.d, "unknown")}
		if script.Has(p.d, "call") {
			claim := p.claim()
			m.Claim = &claim
		}
		return m
	case "look-up-failed":
		return client.LookUpFailed{Serial: serial}
	case "reminder":
		return client.Reminder{}
	case "forget":
		return client.Forget{}
	}
	p.t.Fatalf("%s: unknown command %s", p.d.Pos, p.d.Cmd)
	return nil
}
