package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/client"
)

func (p *permitted) dashboard(t *testing.T) {
	v := p.as(t, "_INBOX_dashboard", nats.UserInfo("dashboard", "look-secret"))
	board, err := client.OverNATS(v.nc)
	if err != nil {
		t.Fatal(err)
	}
	dialer := p.as(t, "_INBOX_dialer", nats.UserInfo("dialer", "dial-secret"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*readyLimit)
	defer cancel()
	var seen []client.EventType
	mine := ""
	for e, err := range board.Watch(ctx, client.After("nowhere:1")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == client.Snapshot { // it watches now
			mine = p.oneCall(t, dialer, p.clients[0])
		} else if e.Call.ID != mine {
			continue // late news of calls that others made before
		}
		seen = append(seen, e.Type)
		if e.Type == client.CallEnded {
			break
		}
	}
	if len(seen) != 3 || seen[1] != client.CallStarted {
		t.Errorf("the dashboard saw %v", seen)
	}
	v.maySubscribe("dibs.events.>", "dibs.events.call.started.>")
	v.mayNotPublish("dibs.events.call.started.x.y", "dibs.ingest.call.ended", "dibs.rpc.end", "dibs.rpc.availability", "dibs.rpc.status.x",
		"$JS.API.STREAM.PURGE.DIBS_EVENTS", "$JS.API.STREAM.DELETE.DIBS_EVENTS", "$JS.API.STREAM.UPDATE.DIBS_EVENTS",
		"$JS.API.CONSUMER.CREATE.DIBS_INGEST.x", "$JS.API.CONSUMER.DELETE.DIBS_EVENTS.x")
	v.mayNotSubscribe("dibs.rpc.>", "dibs.ingest.>", "_INBOX_dialer.>", "_INBOX.>")

	// Who may not ask for a snapshot is told at once that there is none.
	blind, err := client.OverNATS(v.nc, client.As("x"))
	must(t, err)
	for e, err := range blind.Watch(ctx) {
		if err != nil || e.Type != client.Missed {
			t.Errorf("without a snapshot: %+v, %v", e, err)
		}
		break
	}

	// A dialer may not watch everything, and is told so.
	watcher, err := client.OverNATS(dialer.nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range watcher.Watch(ctx) {
		if err == nil {
			continue // that it is not following yet
		}
		if !errors.Is(err, client.CodeForbidden) {
			t.Errorf("a dialer watches: %v", err)
		}
	}
}

// hostileDashboard turns what it may do with consumers against others: it tries to
// acknowledge a call event that nobody has taken, by the empty heartbeats of a
// consumer and by empty answers, and to put old events and answers among the new
// events.
func (p *permitted) hostileDashboard(t *testing.T) {
	js, err := jetstream.New(p.as(t, "_INBOX", p.dibs).nc)
	must(t, err)
	dialer := p.as(t, "_INBOX_dialer", nats.UserInfo("dialer", "dial-secret"))
	v := p.as(t, "_INBOX_dashboard", nats.UserInfo("dashboard", "look-secret"))
	heard, err := v.nc.SubscribeSync("dibs.events.>")
	must(t, err)
	hears := func(part string) {
		t.Helper()
		for subject := ""; !strings.Contains(subject, part); {
			msg, err := heard.NextMsg(readyLimit)
			must(t, err)
			subject = msg.Subject
		}
	}
	must(t, v.nc.FlushTimeout(readyLimit))
	p.oneCall(t, dialer, p.clients[0]) // there are events
	hears("call.ended")
	events, err := js.Stream(t.Context(), "DIBS_EVENTS")
	must(t, err)
	last := events.CachedInfo().State.LastSeq

	// It waits for its user, longer than this takes.
	asked, err := dialer.nc.Request("dibs.ingest.call.ended", fmt.Appendf(nil, `{"specversion":"1.0","id":"h1","source":"/pbx","type":"call.ended",
		"data":{"user_email":"nobody@example.com","call_ref":"h1","occurred_at":%q}}`, time.Now().Format(time.RFC3339Nano)), readyLimit)
	must(t, err)
	var stored struct{ Seq uint64 }
	must(t, json.Unmarshal(asked.Data, &stored))
	taker, err := js.Consumer(t.Context(), "DIBS_INGEST", "dibs")
	must(t, err)
	waitFor(t, readyLimit, "dibs has put it back", func() bool {
		info, err := taker.Info(t.Context())
		return err == nil && info.NumAckPending == 1
	})
	ack := fmt.Sprintf("$JS.ACK.DIBS_INGEST.dibs.1.%d.%d.1.0", stored.Seq, stored.Seq)

	consumer := func(name, config string) {
		t.Helper()
		answer, err := v.nc.Request("$JS.API.CONSUMER.CREATE.DIBS_EVENTS."+name, fmt.Appendf(nil,
			`{"stream_name":"DIBS_EVENTS","config":{"name":%q,"ack_policy":"none",%s}}`, name, config), readyLimit)
		must(t, err)
		if strings.Contains(string(answer.Data), `"error"`) {
			t.Logf("the consumer %s is refused: %s", name, answer.Data)
		}
	}
	beats, err := v.nc.SubscribeSync("_INBOX_dashboard.beats")
	must(t, err)
	const beating = `"deliver_policy":"new","idle_heartbeat":100000000,"deliver_subject":%q`
	consumer("beats", fmt.Sprintf(beating, ack))
	consumer("own", fmt.Sprintf(beating, "_INBOX_dashboard.beats"))
	consumer("none", `"deliver_policy":"new"`)
	consumer("old", `"deliver_policy":"all"`)
	const next = "$JS.API.CONSUMER.MSG.NEXT.DIBS_EVENTS."
	must(t, v.nc.PublishRequest(next+"none", ack, []byte(`{"batch":1,"no_wait":true}`)))
	must(t, v.nc.PublishRequest(next+"old", "dibs.events.call.started.q.q", []byte(`{"batch":1,"no_wait":true}`)))
	must(t, v.nc.PublishRequest(next+"none", "dibs.events.call.started.q.q", []byte(`{"batch":1,"no_wait":true}`)))
	for range 5 { // those of the other consumer came meanwhile, too
		_, err := beats.NextMsg(readyLimit)
		must(t, err)
	}
	hears(".q.q") // in its own account
	info, err := events.Info(t.Context())
	must(t, err)
	if n := info.State.LastSeq; n != last {
		t.Errorf("it put %d things among the events", n-last)
	}
	reports, err := js.Stream(t.Context(), "DIBS_INGEST")
	must(t, err)
	if _, err := reports.GetMsg(t.Context(), stored.Seq); err != nil {
		t.Errorf("a call event that nobody took is gone: %v", err)
	}
}
