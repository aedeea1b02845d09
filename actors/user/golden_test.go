package user_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/dibs-calls/dibs/actors/internal/script"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// TestTranscripts replays testdata; `go test ./actors/user -rewrite` writes
// the transcripts anew.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := &player{t: t, now: script.Epoch, state: user.State{User: script.User(1)}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			p.t, p.d = t, d
			return p.play()
		})
	})
}

// player speaks for everybody around one user actor: u1.
type player struct {
	t     *testing.T
	d     *datadriven.TestData
	now   time.Time
	state user.State
	write messages.Write // the last one handed to the journal
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
		p.state = user.State{User: p.state.User, Shared: true}
		return ""
	}
	if p.d.Cmd == "distant" { // there are other nodes
		p.state.Distant = true
		return ""
	}
	if p.d.Cmd == "panic" {
		p.state = p.state.Forget()
		if script.Has(p.d, "writing") {
			p.state = p.state.Recover()
		}
		return fmt.Sprintf("[%v]\n", p.state.Phase())
	}
	var effects []user.Effect
	p.state, effects = user.Step(p.state, p.now, p.message(), nil)
	var b strings.Builder
	for _, e := range effects {
		if c, ok := e.(user.Commit); ok {
			p.write = *c.Write
		}
		fmt.Fprintln(&b, show(e))
	}
	fmt.Fprintf(&b, "[%v]\n", p.state.Phase())
	return b.String()
}

func show(e user.Effect) string {
	switch e := e.(type) {
	case user.Load:
		return "load"
	case user.Seek:
		return "seek " + script.K(e.Call)
	case user.Commit:
		return "commit " + script.ShowWrite(*e.Write)
	case user.Reply:
		return fmt.Sprintf("reply to %v: %s", e.To, script.ShowAnswer(e.Answer))
	case messages.ForClient:
		return fmt.Sprintf("to %s: %s", script.C(e.ToClient()), script.ShowProtocol(e))
	}
	return fmt.Sprintf("%T?", e)
}

func (p *player) int(key string) int              { return script.Int(p.t, p.d, key) }
func (p *player) str(key, def string) string      { return script.Str(p.t, p.d, key, def) }
func (p *player) call(key string) messages.CallID { return script.Call(p.int(key)) }

func (p *player) duration(key string) time.Duration {
	d, err := time.ParseDuration(p.str(key, "0s"))
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

func (p *player) key() *messages.Key {
	if v := p.str("key", ""); v != "" {
		return &messages.Key{Caller: "user:u1", Value: v}
	}
	return nil
}

func (p *player) report() messages.Report {
	r := messages.Report{Source: "pbx", ID: p.str("report", "e1"), CallRef: "ref", OccurredAt: p.now.Add(-p.duration("ago"))}
	if claimed := p.call("claimed"); !claimed.IsZero() {
		r.CallRef = claimed.String()
	}
	return r
}

func (p *player) deadline() time.Time {
	if d := p.duration("within"); d != 0 {
		return p.now.Add(d)
	}
	return time.Time{}
}

func (p *player) message() user.Message {
	u1 := script.User(1)
	command := func(do any) user.Message { return &user.Command{Asker: p.str("ask", "a"), Do: do} }
	switch p.d.Cmd {
	case "start":
		return command(messages.StartCall{
			User: u1, Client: script.Client(p.int("client")), Call: p.call("call"),
			Lease: p.duration("lease"), Key: p.key(), Deadline: p.deadline(),
		})
	case "start-again":
		return command(user.StartAgain{StartCall: messages.StartCall{
			User: u1, Client: script.Client(p.int("client")), Call: p.call("call"),
			Lease: p.duration("lease"), Deadline: p.deadline(),
		}})
	case "sought":
		return user.Sought{Call: p.call("seek"), Ended: p.ended()}
	case "seek-failed":
		return user.SeekFailed{Call: p.call("seek")}
	case "leave":
		return user.Leave{Answer: messages.Answer{Code: "not here"}}
	case "end":
		return command(messages.EndCall{
			User: u1, Call: p.call("call"), Token: int64(p.int("token")),
			Reason: messages.ReasonCompleted, Key: p.key(), Deadline: p.deadline(),
		})
	case "save-log":
		return command(messages.SaveLog{
			User: u1, Log: messages.CallLog{ClientID: script.Client(p.int("client")), CallStatus: "completed"}, Key: p.key(),
		})
	case "renew":
		return command(messages.RenewCall{
			User: u1, Call: p.call("call"), Token: int64(p.int("token")), Lease: p.duration("lease"), Key: p.key(),
		})
	case "report-started":
		return command(messages.ReportStarted{
			User: u1, Client: script.Client(p.int("client")), Call: p.call("call"), Lease: p.duration("lease"), Report: p.report(),
		})
	case "report-ended":
		return command(messages.ReportEnded{
			User: u1, Client: script.Client(p.int("client")), Call: p.call("call"), Report: p.report(),
		})
	case "expire":
		return &user.Command{Do: messages.ExpireCall{User: u1, Call: p.call("call"), Token: int64(p.int("token"))}}
	case "give-up":
		return user.GiveUp{Asker: p.str("ask", "a")}
	case "loaded":
		return user.Loaded{Claim: p.claim()}
	case "load-failed":
		return user.LoadFailed{}
	case "written":
		o := p.outcome()
		return user.Written{Outcome: &o}
	case "reserved":
		return messages.Reserved{User: u1, Call: p.call("call")}
	case "refused":
		return messages.Refused{User: u1, Call: p.call("call"), Caller: &messages.Caller{ID: script.User(2), Name: "Ben"}}
	case "is-on":
		return messages.AskHolder{User: u1, Client: script.Client(p.int("client")), Call: p.call("call"), Serial: 7}
	}
	p.t.Fatalf("%s: unknown command %s", p.d.Pos, p.d.Cmd)
	return nil
}

// claim is the claim that a line describes: call=, client=, token=, lease=.
func (p *player) claim() *messages.HeldClaim {
	if !script.Has(p.d, "call") {
		return nil
	}
	lease := p.duration("lease")
	if lease == 0 {
		lease = messages.DefaultLease
	}
	return &messages.HeldClaim{
		Call: messages.Call{
			ID: p.call("call"), ClientID: script.Client(p.int("client")), UserID: script.User(1),
			StartedAt: p.now, LeaseExpiresAt: p.now.Add(lease), Token: int64(p.int("token")),
		},
		Name: "Ana", Lease: lease,
	}
}

// ended is the call that a line describes, as the history has it.
func (p *player) ended() *messages.Call {
	claim := p.claim()
	if claim == nil {
		return nil
	}
	claim.LeaseExpiresAt = time.Time{}
	return &claim.Call
}

var outcomes = map[string]messages.OutcomeKind{
	"done": messages.OutcomeDone, "client-held": messages.OutcomeClientHeld, "user-held": messages.OutcomeUserHeld,
	"no-user": messages.OutcomeNoUser, "no-client": messages.OutcomeNoClient, "call-over": messages.OutcomeCallOver,
	"not-expired": messages.OutcomeNotExpired, "replayed": messages.OutcomeReplayed, "key-reused": messages.OutcomeKeyReused,
	"not-superseded": messages.OutcomeNotSuperseded,
	"call-gone":      messages.OutcomeCallGone, "found-over": messages.OutcomeFoundOver,
	"not-applied": messages.OutcomeNotApplied, "unknown": messages.OutcomeUnknown,
}

// outcome answers the last write as a store would.
func (p *player) outcome() messages.Outcome {
	kind, ok := outcomes[p.d.CmdArgs[0].Key]
	if !ok {
		p.t.Fatalf("%s: unknown outcome", p.d.Pos)
	}
	o := messages.Outcome{Kind: kind}
	w := p.write
	switch kind {
	case messages.OutcomeDone:
		o.Call = messages.Call{
			ID: w.Call, ClientID: w.Client, UserID: w.User, StartedAt: p.now,
			LeaseExpiresAt: p.now.Add(w.Lease + w.Slack), Token: max(w.Token, int64(p.int("token"))),
		}
		if c := p.claim(); c != nil { // by another name
			o.Call = c.Call
		}
		o.Holder, o.Log = messages.Caller{ID: w.User, Name: "Ana"}, w.Log
	case messages.OutcomeClientHeld:
		o.Call = messages.Call{ID: script.Call(99), ClientID: w.Client, UserID: script.User(2), StartedAt: p.now, Token: 4}
		o.Holder = messages.Caller{ID: script.User(2), Name: "Ben", CallStartedAt: p.now}
	case messages.OutcomeUserHeld, messages.OutcomeNotExpired, messages.OutcomeNotSuperseded:
		if c := p.claim(); c != nil {
			o.Call = c.Call
		}
	case messages.OutcomeReplayed:
		o.Replay = &messages.Answer{Code: messages.Code(p.str("code", "")), Repeated: w.Report != nil}
	case messages.OutcomeCallOver:
		o.Log = w.Log
	}
	return o
}
