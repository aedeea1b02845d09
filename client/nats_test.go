package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// engine is one client, over NATS.
type engine struct {
	mu   sync.Mutex
	call *messages.Call
	keys []*messages.Key
	fail messages.Code // of the next start
}

func (e *engine) StartCall(_ context.Context, cmd messages.StartCall) messages.Answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = append(e.keys, cmd.Key)
	if fail := e.fail; fail != "" {
		e.fail = ""
		return messages.Answer{Code: fail}
	}
	if e.call != nil {
		return messages.Answer{Code: messages.CodeClientBeingCalled, Caller: &messages.Caller{ID: e.call.UserID, Name: "Ana Alvarez"}}
	}
	e.call = &messages.Call{ID: cmd.Call, UserID: cmd.User, ClientID: cmd.Client, Token: 1, LeaseExpiresAt: time.Now().Add(cmd.Lease)}
	return messages.Answer{Call: e.call}
}

func (e *engine) EndCall(context.Context, messages.EndCall) messages.Answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	ended := e.call
	e.call = nil
	return messages.Answer{Ended: ended}
}

func (e *engine) RenewCall(context.Context, messages.RenewCall) messages.Answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.call == nil {
		return messages.Answer{Code: messages.CodeCallOver}
	}
	return messages.Answer{Call: e.call}
}

func (e *engine) Availability(context.Context, messages.ClientID) messages.Availability {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.call == nil {
		return messages.Availability{}
	}
	return messages.Availability{Caller: &messages.Caller{ID: e.call.UserID, Name: "Ana Alvarez"}}
}

func (e *engine) UserByID(_ context.Context, id messages.UserID) (messages.Account, error) {
	return messages.Account{User: messages.User{ID: id, Role: messages.RoleUser}}, nil
}

// openBus starts a NATS server in this process, and connects to it as another
// program would.
func openBus(t *testing.T, dir string) (*natsapi.Bus, *nats.Conn) {
	t.Helper()
	address := freeAddress(t)
	bus := openBusAt(t, dir, address)
	return bus, connect(t, address)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = free.Close() }()
	return free.Addr().String()
}

func openBusAt(t *testing.T, dir, address string) *natsapi.Bus {
	t.Helper()
	bus, err := natsapi.Open(t.Context(), natsapi.Config{
		Embedded: natsapi.EmbeddedConfig{Dir: dir, Listen: address},
		Metrics:  prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, bus.Close) })
	return bus
}

func connect(t *testing.T, address string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(address, nats.CustomInboxPrefix("_INBOX_dialer"), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !cond(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func stop(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := f(ctx); err != nil {
		t.Error(err)
	}
}

func TestOverNATS(t *testing.T) {
	bus, nc := openBus(t, t.TempDir())
	dibs, err := client.OverNATS(nc, client.As("floor-7"))
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := dibs.Start(short, ana, xenia); !errors.Is(err, client.CodeUnavailable) {
		t.Errorf("before anybody answers: %v", err)
	}
	e := &engine{fail: messages.CodeOutcomeUnknown}
	service, err := bus.NewService(natsapi.ServiceConfig{Calls: e, People: e})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, service.Stop) })

	held, err := dibs.Hold(t.Context(), ana, xenia)
	if err != nil || held.Call().Token != 1 || held.Call().ClientID != xenia {
		t.Fatalf("%+v, %v", held.Call(), err)
	}
	e.mu.Lock()
	if len(e.keys) != 2 || e.keys[0] == nil || *e.keys[0] != *e.keys[1] || e.keys[0].Caller != "nats:floor-7" {
		t.Errorf("two tries with the keys %+v", e.keys)
	}
	e.mu.Unlock()
	var refused *client.Error
	if _, err := dibs.Start(t.Context(), ben, xenia); !errors.As(err, &refused) || refused.Code != client.CodeClientBeingCalled || refused.Caller.Name != "Ana Alvarez" {
		t.Errorf("Ben: %v", err)
	}
	if a, err := dibs.Availability(t.Context(), xenia); err != nil || a.Available || a.Caller.ID != ana {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := dibs.Renew(t.Context(), held.Call(), 0); err != nil {
		t.Error(err)
	}
	if err := held.End(t.Context(), client.Outcome{Disposition: "sale"}); err != nil {
		t.Error(err)
	}
	if _, err := dibs.Renew(t.Context(), held.Call(), 0); !errors.Is(err, client.CodeCallOver) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := dibs.Start(t.Context(), "nobody", xenia); !errors.Is(err, client.CodeBadRequest) {
		t.Errorf("no id: %v", err)
	}
	nc.Close()
	if _, err := dibs.Start(t.Context(), ana, xenia); !errors.Is(err, client.CodeUnavailable) || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("after the connection was closed: %v", err)
	}
}

func TestOverNATSOptions(t *testing.T) {
	_, nc := openBus(t, t.TempDir())
	for what, opt := range map[string]client.Option{
		"a key": client.APIKey("k"), "an HTTP client": client.HTTPClient(http.DefaultClient), "a subject": client.As("a.b"), "all": client.As(">"),
		"a name that the server refuses": client.As("flöör"), "a long one": client.As(strings.Repeat("x", 65)),
	} {
		if _, err := client.OverNATS(nc, opt); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// events reads n events and returns them a line each, with the position behind
// the last.
func events(t *testing.T, dibs *client.Client, n int, opts ...client.WatchOption) (lines []string, position string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for e, err := range dibs.Watch(ctx, opts...) {
		if err != nil {
			t.Fatal(err)
		}
		position = e.Position
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s", e.Type, e.User.LastName)))
		if len(lines) == n {
			return lines, position
		}
	}
	t.Fatalf("only %v came", lines)
	return nil, ""
}

// Over NATS a reader goes on where it was, and is told if it cannot.
func TestWatchOverNATS(t *testing.T) {
	dir := t.TempDir()
	bus, nc := openBus(t, dir)
	outbox := &natstest.Outbox{}
	publisher, err := bus.NewPublisher(outbox)
	if err != nil {
		t.Fatal(err)
	}
	publisher.Start()
	t.Cleanup(func() { stop(t, publisher.Stop) })
	dibs, err := client.OverNATS(nc)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(events ...messages.Event) {
		t.Helper()
		outbox.Add(events...)
		publisher.Wake()
		for outbox.Len() > 0 {
			<-time.After(time.Millisecond)
		}
	}
	publish(natstest.Started(1, 0)) // before anybody watches
	// A position that is not of this stream: begin now, and say so.
	watching := make(chan struct{})
	go func() {
		<-watching
		publish(natstest.Started(2, 0), natstest.Ended(2, 0))
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	position := ""
	for e, err := range dibs.Watch(ctx, client.After("other:1")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == client.Missed {
			close(watching)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Type, e.User.LastName, e.Reason)))
		if position = e.Position; e.Type == client.CallEnded {
			break
		}
	}
	if s := strings.Join(got, ", "); s != "missed, call.started Ruiz 2, call.ended Ruiz 2 completed" {
		t.Errorf("got %s", s)
	}
	publish(natstest.Started(3, 0)) // while nobody watches
	lines, position := events(t, dibs, 1, client.After(position))
	if lines[0] != "call.started Ruiz 3" {
		t.Errorf("resumed with %v", lines)
	}
	// A refusal, and what cannot be understood.
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"nonsense", `{"specversion":"1.0","type":"call.refused","data":{"refusal":{"code":"client_being_called","call_ref":"leg-9","caller":{"name":"Ana"}}}}`} {
		if _, err := js.Publish("dibs.events.call.refused."+uuid.NewString()+"."+uuid.NewString(), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	for e, err := range dibs.Watch(ctx, client.After(position)) {
		if err != nil || e.Type != client.CallRefused || e.Refusal.CallRef != "leg-9" || e.Refusal.Code != client.CodeClientBeingCalled || e.Refusal.Caller.Name != "Ana" {
			t.Errorf("%+v, %v", e, err)
		}
		break
	}
	// Events that are gone.
	if err := js.PurgeStream("DIBS_EVENTS"); err != nil {
		t.Fatal(err)
	}
	if lines, _ := events(t, dibs, 1, client.After(position)); lines[0] != "missed" {
		t.Errorf("after a purge: %v", lines)
	}
	// A connection that was closed is not waited for.
	nc.Close()
	for _, err := range dibs.Watch(ctx) {
		if errors.Is(err, nats.ErrConnectionClosed) {
			return
		}
	}
	t.Error("watching over a closed connection ends in silence")
}

// What was asked while NATS was away, and given up, is not carried out when it is
// back.
func TestNothingIsSentLater(t *testing.T) {
	dir, address := t.TempDir(), freeAddress(t)
	bus := openBusAt(t, dir, address)
	nc := connect(t, address)
	dibs, err := client.OverNATS(nc)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, bus.Close)
	until(t, "the loss of the connection", func() bool { return !nc.IsConnected() })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := dibs.Start(ctx, ana, xenia); !errors.Is(err, client.CodeUnavailable) || !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("while NATS is away: %v", err)
	}

	// A server that the first connection does not know of, until somebody listens.
	elsewhere := freeAddress(t)
	openBusAt(t, dir, elsewhere)
	sub, err := connect(t, elsewhere).SubscribeSync("dibs.rpc.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	relayed, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	go relayTo(relayed, elsewhere)
	t.Cleanup(func() { _ = relayed.Close(); nc.Close() })
	until(t, "the connection", nc.IsConnected)
	if err := nc.FlushTimeout(20 * time.Second); err != nil { // what it had buffered is there
		t.Fatal(err)
	}
	if err := nc.Publish("dibs.rpc.last", nil); err != nil {
		t.Fatal(err)
	}
	if msg, err := sub.NextMsg(20 * time.Second); err != nil || msg.Subject != "dibs.rpc.last" {
		t.Errorf("it was sent after all: %+v, %v", msg, err)
	}
}

// relayTo passes one connection on.
func relayTo(l net.Listener, address string) {
	from, err := l.Accept()
	if err != nil {
		return
	}
	defer func() { _ = from.Close() }()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
	_, _ = io.Copy(from, to)
}

// A connection that is lost in the middle of watching: the reader is told, and
// misses nothing. It may stop at any event, that one included.
func TestWatchOverALostConnection(t *testing.T) {
	dir, address := t.TempDir(), freeAddress(t)
	bus := openBusAt(t, dir, address)
	dibs, err := client.OverNATS(connect(t, address))
	if err != nil {
		t.Fatal(err)
	}
	publish := func(name string) {
		t.Helper()
		js, err := connect(t, address).JetStream()
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"specversion":"1.0","type":"call.started","data":{"user":{"last_name":%q}}}`, name)
		if _, err := js.Publish("dibs.events.call.started."+uuid.NewString()+"."+uuid.NewString(), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	for e, err := range dibs.Watch(ctx, client.After("other:1")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s", e.Type, e.User.LastName)))
		switch {
		case e.Type == client.Missed: // it watches
			publish("one")
		case e.Type == client.CallStarted && e.User.LastName == "one":
			stop(t, bus.Close)
		case e.Stale:
			bus = openBusAt(t, dir, address)
			publish("two") // before it watches again
		}
		if e.User.LastName == "two" {
			break
		}
	}
	if s := strings.Join(got, ", "); s != "missed, call.started one, stale, stale, call.started two" {
		t.Errorf("got %s", s)
	}
	for e, err := range dibs.Watch(ctx, client.After("other:1")) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Type == client.Missed:
			stop(t, bus.Close)
		case e.Stale:
			bus = openBusAt(t, dir, address)
		}
		if e.Type == client.Stale && !e.Stale {
			break // though nothing comes behind it
		}
	}
	if ctx.Err() != nil {
		t.Error("it went on when the reader had enough")
	}
}
