package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// permitted is a NATS server that runs with the documented configuration, a
// dibs that uses it, and what the others sign in with.
type permitted struct {
	url     string
	dibs    nats.Option // what dibs itself signs in with
	floor7  nats.Option
	user    messages.UserID
	other   messages.UserID
	clients []messages.ClientID
	dead    func(args ...string) string // runs dibs dead as dibs itself
}

// TestNATSPermissions runs dibs on a server with the configuration of
// docs/nats-permissions, and tries who may do what.
func TestNATSPermissions(t *testing.T) {
	p := newPermitted(t)
	t.Run("dialer", p.dialer)
	t.Run("reports", p.reports)
	t.Run("dialer with a name", p.named)
	t.Run("telephony server", p.telephony)
	t.Run("dashboard", p.dashboard)
	t.Run("hostile dashboard", p.hostileDashboard)
	t.Run("operator", p.operator)
	t.Run("strangers", p.strangers)
}

func newPermitted(t *testing.T) *permitted {
	t.Helper()
	bin, err := natstest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := natstest.NewServer(bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dibsFile, dibsKey, err := natstest.NewNKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	floorFile, floorKey, err := natstest.NewNKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server.File = filepath.Join("..", "docs", "nats-permissions", "nats-server.conf")
	server.Env = []string{"DIBS_NKEY=" + dibsKey, "FLOOR7_NKEY=" + floorKey, "KAMAILIO_PASSWORD=sip-secret", "DIALER_PASSWORD=dial-secret",
		"DASHBOARD_PASSWORD=look-secret", "OPERATOR_PASSWORD=ops-secret", "SYS_PASSWORD=sys-secret"}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Kill() })

	d := onSQLite(t)
	signIn := newDialer(t, d, 2, 2)
	s := d.Serve(t, "--nats-url", server.URL(), "--nats-nkey", dibsFile)
	s.WaitReady(readyLimit) // the streams are there
	who := signIn(s)
	copyForDashboards(t, server.URL())
	floor7, err := nats.NkeyOptionFromSeed(floorFile)
	if err != nil {
		t.Fatal(err)
	}
	own, err := nats.NkeyOptionFromSeed(dibsFile)
	must(t, err)
	t.Cleanup(func() {
		if log := s.Stderr(); strings.Contains(strings.ToLower(log), "permissions violation") {
			t.Errorf("dibs lacks a permission:\n%s", log)
		}
	})
	return &permitted{
		url: server.URL(), dibs: own, floor7: floor7, user: who.users[0], other: who.users[1], clients: who.clients,
		dead: func(args ...string) string {
			t.Helper()
			return d.MustRun(t, append(append([]string{"dead"}, args...), "--nats-url", server.URL(), "--nats-nkey", dibsFile)...)
		},
	}
}

// copyForDashboards makes the stream that dashboards read, as the README says.
func copyForDashboards(t *testing.T, url string) {
	t.Helper()
	stream, err := os.ReadFile(filepath.Join("..", "docs", "nats-permissions", "dashboards-stream.json"))
	must(t, err)
	nc, err := nats.Connect(url, nats.Timeout(readyLimit), nats.UserInfo("keeper", "ops-secret"), nats.CustomInboxPrefix("_INBOX_keeper"))
	must(t, err)
	defer nc.Close()
	answer, err := nc.Request("$JS.API.STREAM.CREATE.DIBS_EVENTS", stream, readyLimit)
	if err != nil || strings.Contains(string(answer.Data), `"error"`) {
		t.Fatalf("the copy of the events: %+v, %v", answer, err)
	}
}

// visitor is a connection of somebody, and what the server told them aside.
type visitor struct {
	*testing.T
	nc     *nats.Conn
	denied chan error
}

func (p *permitted) as(t *testing.T, inbox string, how nats.Option) *visitor {
	t.Helper()
	v := &visitor{T: t, denied: make(chan error, 64)}
	nc, err := nats.Connect(p.url, how, nats.Timeout(readyLimit), nats.CustomInboxPrefix(inbox),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { v.denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	v.nc = nc
	return v
}

// mayPublish and the others compare what the server lets happen.
func (v *visitor) mayPublish(subjects ...string) {
	v.Helper()
	for _, subject := range subjects {
		v.try(subject, v.nc.Publish(subject, []byte("{}")), true)
	}
}

func (v *visitor) mayNotPublish(subjects ...string) {
	v.Helper()
	for _, subject := range subjects {
		v.try(subject, v.nc.Publish(subject, []byte("{}")), false)
	}
}

func (v *visitor) maySubscribe(subjects ...string) {
	v.Helper()
	for _, subject := range subjects {
		sub, err := v.nc.SubscribeSync(subject)
		v.try(subject, err, true)
		_ = sub.Unsubscribe()
	}
}

func (v *visitor) mayNotSubscribe(subjects ...string) {
	v.Helper()
	for _, subject := range subjects {
		_, err := v.nc.SubscribeSync(subject)
		v.try(subject, err, false)
	}
}

// try looks whether the server let something happen: its answer to a ping comes
// behind what it says about it.
func (v *visitor) try(subject string, err error, want bool) {
	v.Helper()
	if err = errors.Join(err, v.nc.FlushTimeout(readyLimit)); err != nil {
		v.Fatalf("%s: %v", subject, err)
	}
	if want {
		select {
		case err := <-v.denied:
			v.Errorf("%s is not allowed: %v", subject, err)
		case <-time.After(50 * time.Millisecond): // the handler runs on a goroutine of its own
		}
		return
	}
	select {
	case err := <-v.denied:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`) {
			v.Errorf("%s: %v", subject, err)
		}
	case <-time.After(readyLimit):
		v.Errorf("%s is allowed", subject)
	}
}

// oneCall starts and ends a call, and returns its id.
func (p *permitted) oneCall(t *testing.T, v *visitor, client1 messages.ClientID, opts ...client.Option) string {
	t.Helper()
	dibs, err := client.OverNATS(v.nc, opts...)
	if err != nil {
		t.Fatal(err)
	}
	call, err := dibs.Start(t.Context(), p.user.String(), client1.String())
	if err != nil {
		t.Fatal(err)
	}
	if call, err = dibs.Renew(t.Context(), call, time.Minute); err != nil {
		t.Error(err)
	}
	if a, err := dibs.Availability(t.Context(), client1.String()); err != nil || a.Available {
		t.Errorf("%+v, %v", a, err)
	}
	if err := dibs.End(t.Context(), call, client.Outcome{Disposition: "sale"}); err != nil {
		t.Error(err)
	}
	return call.ID
}

func (p *permitted) dialer(t *testing.T) {
	v := p.as(t, "_INBOX_dialer", nats.UserInfo("dialer", "dial-secret"))
	p.oneCall(t, v, p.clients[0])
	v.mayPublish("dibs.ingest.call.started", "dibs.ingest.call.ended")
	v.maySubscribe("dibs.events.call.refused.>", "_INBOX_dialer.x")
	v.mayNotPublish("dibs.events.call.started.x.y", "dibs.dead.dibs.ingest.call.started", "dibs.rpc.start.floor7", "_INBOX.x",
		"$JS.API.STREAM.DELETE.DIBS_EVENTS", "$JS.API.STREAM.INFO.DIBS_INGEST", "$JS.API.CONSUMER.CREATE.DIBS_EVENTS.x", "$SRV.PING")
	v.mayNotSubscribe("dibs.rpc.start", "dibs.ingest.>", "dibs.events.>", "dibs.events.call.started.>", "_INBOX.>", "_INBOX_floor7.>", ">")
}

// reports is what a dialer reports: it takes effect, what stands in its way comes
// back as a refusal, and what cannot be applied is worked off by command.
func (p *permitted) reports(t *testing.T) {
	v := p.as(t, "_INBOX_dialer", nats.UserInfo("dialer", "dial-secret"))
	js, err := v.nc.JetStream()
	must(t, err)
	refused, err := v.nc.SubscribeSync("dibs.events.call.refused.>")
	must(t, err)
	report := func(kind, id, ref string, user messages.UserID, client1 messages.ClientID) {
		t.Helper()
		_, err := js.Publish("dibs.ingest."+kind, fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"/pbx","type":%q,
			"data":{"user_id":%q,"client_id":%q,"call_ref":%q,"occurred_at":%q}}`,
			id, kind, user, client1, ref, time.Now().Format(time.RFC3339Nano)))
		must(t, err)
	}
	dibs, err := client.OverNATS(v.nc)
	must(t, err)
	free := func(c messages.ClientID) bool {
		a, err := dibs.Availability(t.Context(), c.String())
		must(t, err)
		return a.Available
	}
	report("call.started", "s1", "leg-1", p.user, p.clients[0])
	waitFor(t, readyLimit, "the report takes effect", func() bool { return !free(p.clients[0]) })
	report("call.started", "s2", "leg-2", p.other, p.clients[0])
	msg, err := refused.NextMsg(readyLimit)
	if err != nil || !strings.Contains(string(msg.Data), `"leg-2"`) || !strings.Contains(string(msg.Data), "client_being_called") {
		t.Errorf("the refusal: %+v, %v", msg, err)
	}
	report("call.ended", "e1", "leg-1", p.user, p.clients[0])
	waitFor(t, readyLimit, "its end takes effect", func() bool { return free(p.clients[0]) })

	junk := func() (seqs []int) { // the numbers of the dead letters that we made
		var letters []struct {
			Seq         int    `json:"seq"`
			EventBase64 []byte `json:"event_base64"`
		}
		must(t, json.Unmarshal([]byte(p.dead("list", "--reason", "malformed", "--json")), &letters))
		for _, l := range letters {
			if string(l.EventBase64) == "not an event" {
				seqs = append(seqs, l.Seq)
			}
		}
		return seqs
	}
	_, err = js.Publish("dibs.ingest.call.started", []byte("not an event"))
	must(t, err)
	waitFor(t, readyLimit, "a dead letter", func() bool { return len(junk()) == 1 })
	first := junk()[0]
	contains(t, p.dead("retry", strconv.Itoa(first)), "retried 1")
	waitFor(t, readyLimit, "it comes back", func() bool { again := junk(); return len(again) == 1 && again[0] != first })
	contains(t, p.dead("drop", strconv.Itoa(junk()[0])), "dropped 1")
}

func (p *permitted) named(t *testing.T) {
	v := p.as(t, "_INBOX_floor7", p.floor7)
	p.oneCall(t, v, p.clients[1], client.As("floor7"))
	v.mayPublish("dibs.ingest.call.started")
	v.mayNotPublish("dibs.rpc.end.floor8", "dibs.rpc.end")
	v.mayNotSubscribe("_INBOX_dialer.>", "dibs.rpc.*.floor7")
	// The library says why nobody answers.
	dibs, err := client.OverNATS(v.nc, client.As("floor8"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if _, err := dibs.Start(ctx, p.user.String(), p.clients[1].String()); !errors.Is(err, client.CodeForbidden) {
		t.Errorf("under another name: %v", err)
	}
}

// telephony is a server that only reports; integration/sip runs a real one.
func (p *permitted) telephony(t *testing.T) {
	v := p.as(t, "_INBOX_kamailio", nats.UserInfo("kamailio", "sip-secret"))
	v.mayPublish("dibs.ingest.call.started", "dibs.ingest.call.ended")
	v.mayNotPublish("dibs.ingest.call.x", "dibs.rpc.start", "dibs.rpc.status", "dibs.events.call.started.x.y", "$JS.API.STREAM.INFO.DIBS_EVENTS", "$SRV.PING")
	v.mayNotSubscribe("dibs.events.>", "dibs.rpc.start", "_INBOX.>", "_INBOX_kamailio.>", ">")
}

func (p *permitted) operator(t *testing.T) {
	v := p.as(t, "_INBOX_operator", nats.UserInfo("operator", "ops-secret"))
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		msg, err := v.nc.Request("$SRV."+verb+".dibs", nil, readyLimit)
		if err != nil || !strings.Contains(string(msg.Data), `"name":"dibs"`) || msg.Header.Get(micro.ErrorHeader) != "" {
			t.Errorf("%s: %v", verb, err)
		}
	}
	v.mayNotPublish("dibs.rpc.end", "dibs.ingest.call.ended")

	// Whatever it says where the answer should go: dibs publishes nothing there.
	board := p.as(t, "_INBOX_dashboard", nats.UserInfo("dashboard", "look-secret"))
	seen, err := board.nc.SubscribeSync("dibs.events.>")
	must(t, err)
	must(t, board.nc.FlushTimeout(readyLimit))
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		must(t, v.nc.PublishRequest("$SRV."+verb+".dibs", "dibs.events.call.started.q.q", nil))
	}
	for _, verb := range []string{"PING", "INFO", "STATS"} { // each is answered behind the one before
		_, err := v.nc.Request("$SRV."+verb+".dibs", nil, readyLimit)
		must(t, err)
	}
	p.oneCall(t, p.as(t, "_INBOX_dialer", nats.UserInfo("dialer", "dial-secret")), p.clients[0])
	for first := ""; !strings.Contains(first, "call.ended"); {
		msg, err := seen.NextMsg(readyLimit)
		must(t, err)
		if first = msg.Subject; strings.HasSuffix(first, ".q.q") {
			t.Errorf("dibs published %s on %s", msg.Data, first)
		}
	}
}

func (p *permitted) strangers(t *testing.T) {
	for what, how := range map[string]nats.Option{
		"nobody": nats.Name("nobody"), "wrong password": nats.UserInfo("dialer", "guess"), "no such user": nats.UserInfo("dibs", "dial-secret"),
	} {
		if nc, err := nats.Connect(p.url, how, nats.Timeout(readyLimit)); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", what, err)
			if err == nil {
				nc.Close()
			}
		}
	}
}
