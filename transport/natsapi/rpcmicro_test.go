package natsapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/messages"
)

// What `nats micro ls`, `info` and `stats` ask for.
func TestMicroService(t *testing.T) {
	a := newAsking(t)
	var ping micro.Ping
	monitor(a, "$SRV.PING.dibs", &ping)
	if ping.Name != "dibs" || ping.Version != "1.2.3" || ping.Type != micro.PingResponseType || ping.ID == "" {
		t.Errorf("PING: %+v", ping)
	}
	var info micro.Info
	monitor(a, "$SRV.INFO.dibs."+ping.ID, &info)
	subjects := map[string]string{}
	for _, e := range info.Endpoints {
		subjects[e.Name] = e.Subject
		var schema struct {
			Required   []string
			Properties map[string]struct{ Type string }
		}
		if err := json.Unmarshal([]byte(e.Metadata["request_schema"]), &schema); err != nil || e.QueueGroup != "dibs" || len(schema.Properties) == 0 {
			t.Errorf("INFO: %+v, %v", e, err)
		}
		for _, name := range schema.Required {
			if schema.Properties[name].Type == "" {
				t.Errorf("%s requires %q, which it does not describe", e.Name, name)
			}
		}
	}
	if info.Description == "" || len(subjects) != 10 || subjects["renew"] != "dibs.rpc.renew" || subjects["availability-as"] != "dibs.rpc.availability.*" {
		t.Errorf("INFO: %+v", info)
	}

	a.granted("dibs.rpc.start", theStart())
	a.engine.set(func(e *engine) { e.says = messages.Answer{Code: messages.CodeUserOnCall} })
	a.refused(messages.CodeUserOnCall, "dibs.rpc.start", theStart())
	var start *micro.EndpointStats
	waitFor(t, 10*time.Second, "both requests are counted", func() bool {
		var stats micro.Stats
		monitor(a, "$SRV.STATS", &stats)
		for _, e := range stats.Endpoints {
			if e.Name == "start" {
				start = e
			}
		}
		return start != nil && start.NumRequests == 2
	})
	var data EndpointStats
	if err := json.Unmarshal(start.Data, &data); err != nil || data.Answered != 2 || data.Refused["409"] != 1 || data.AverageTime <= 0 {
		t.Errorf("STATS: %+v %s %v", start, start.Data, err)
	}
}

func monitor(a *asking, subject string, into any) {
	a.Helper()
	msg, err := a.nc.Request(subject, nil, 10*time.Second)
	if err != nil {
		a.Fatalf("%s: %v", subject, err)
	}
	if err := json.Unmarshal(msg.Data, into); err != nil {
		a.Fatalf("%s: %v: %s", subject, err, msg.Data)
	}
}

// Nodes share the requests: each is carried out once.
func TestNodesShareRequests(t *testing.T) {
	server := process(t, "")
	var engines []*engine
	for range 2 {
		bus := open(t, configOf(t, server))
		call := theCall
		e := &engine{says: messages.Answer{Call: &call}}
		service, err := bus.NewService(ServiceConfig{Calls: e, People: e})
		if err != nil {
			t.Fatal(err)
		}
		if err := service.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stopService(t, service) })
		if err := bus.link.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		engines = append(engines, e)
	}
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	a := &asking{T: t, nc: nc}
	const n = 60
	for range n {
		a.granted("dibs.rpc.start", theStart())
	}
	one, two := len(engines[0].started), len(engines[1].started)
	if one+two != n || one == 0 || two == 0 {
		t.Errorf("%d and %d of %d", one, two, n)
	}
}

// A service that is started while NATS is away answers when it is there.
func TestServiceBeforeNATS(t *testing.T) {
	server := idleProcess(t, "")
	bus := open(t, configOf(t, server))
	call := theCall
	e := &engine{says: messages.Answer{Call: &call}}
	service, err := bus.NewService(ServiceConfig{Calls: e, People: e})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	defer stopService(t, service)
	start(t, server)
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	waitFor(t, 20*time.Second, "the service answers", func() bool {
		_, err := nc.Request("dibs.rpc.start", []byte(theStart()), time.Second)
		return err == nil
	})
}

func TestServiceConfig(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	if _, err := bus.NewService(ServiceConfig{}); err == nil {
		t.Error("a service without an engine")
	}
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v0.0.0-20260118094027-288962e52f3f+dirty": "0.0.0-20260118094027-288962e52f3f+dirty",
		"(devel)": "0.0.0", "": "0.0.0", "01.2.3": "0.0.0", "1.2.3-01": "0.0.0",
	} {
		if got := semantic(version); got != want {
			t.Errorf("%q is %q, want %q", version, got, want)
		}
	}
}

// Whatever is sent: no panic, no defect, and a refusal has a sentence and a code.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{``, `{}`, `null`, `[]`, theStart(), userAnd(`,"call_id":"` + theCall.ID.String() + `","token":1`),
		userAnd(`,"notes":"x\u0000"`), `{"client_id":"` + theClient.String() + `"}`, `{"user_id":1e999}`, strings.Repeat("[", 20000), "\xff"} {
		f.Add([]byte(s), "key", "1s", "")
		f.Add([]byte(s), "é", "-1s", ".floor-7")
	}
	call := theCall
	e := &engine{says: messages.Answer{Call: &call}}
	bus := open(f, inProcess(f, f.TempDir()))
	bus.cfg.Metrics = prometheus.NewRegistry()
	s, err := bus.NewService(ServiceConfig{Calls: e, People: e})
	if err != nil {
		f.Fatal(err)
	}
	answers, err := bus.link.nc.SubscribeSync("answers")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, key, timeout, suffix string) {
		for _, end := range s.endpoints() {
			header := micro.Headers{"Idempotency-Key": {key}, timeoutHeader: {timeout}}
			(&rpc{service: s, endpoint: &end, name: end.name, subject: rpcPrefix + end.name + dotted(suffix),
				reply: "answers", header: header, body: body}).serve()
			msg, err := answers.NextMsg(10 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			var refusal struct{ Error, Code string }
			code := msg.Header.Get(micro.ErrorHeader)
			if err := json.Unmarshal(msg.Data, &refusal); err != nil || refusal.Code != code || (code != "") != (refusal.Error != "") || code == "internal" {
				t.Errorf("%s: %v %s", end.name, msg.Header, msg.Data)
			}
		}
		e.set(func(e *engine) { e.started, e.ended, e.renewed = nil, nil, nil })
	})
}

// dotted is a suffix as the server lets it through: one more token, or none.
func dotted(suffix string) string {
	if suffix == "" {
		return ""
	}
	return "." + strings.TrimPrefix(suffix, ".")
}
