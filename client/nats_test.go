package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

// engine is one client, over NATS.
type engine struct {
	mu   sync.Mutex
	call *messages.Call
	keys []*messages.Key
	fail messages.Code // of the next start
	live []messages.LiveCall
	hush messages.Code // what a question for live is refused with
}

func (e *engine) CallsInProgress(context.Context) ([]messages.LiveCall, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hush != "" {
		return nil, &messages.Error{Code: e.hush}
	}
	return e.live, nil
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
	address := harness.FreeAddr(t)
	bus := openBusAt(t, dir, address)
	return bus, connect(t, address)
}

func openBusAt(t *testing.T, dir, address string) *natsapi.Bus {
	t.Helper()
	return openBusOf(t, natsapi.Config{Embedded: natsapi.EmbeddedConfig{Dir: dir, Listen: address}})
}

func openBusOf(t *testing.T, cfg natsapi.Config) *natsapi.Bus {
	t.Helper()
	cfg.Metrics, cfg.Log = prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	bus, err := natsapi.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, bus.Close) })
	return bus
}

func connect(t *testing.T, address string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(address, append(opts, nats.Timeout(20*time.Second), nats.CustomInboxPrefix("_INBOX_dialer"), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// serve has a service answer over a bus.
func serve(t *testing.T, bus *natsapi.Bus, e *engine) *natsapi.Service {
	t.Helper()
	service, err := bus.NewService(natsapi.ServiceConfig{Calls: e, People: e, InProgress: e})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, service.Stop) })
	return service
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
	// It gives up when there is no time for another try: so much before the end that the last
	// try is answered also on a machine that has much else to do. One that is not is in doubt.
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := dibs.Start(short, ana, xenia); !errors.Is(err, client.CodeUnavailable) {
		t.Errorf("before anybody answers: %v", err)
	}
	e := &engine{fail: messages.CodeOutcomeUnknown}
	serve(t, bus, e)

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

// What was asked while NATS was away, and given up, is not carried out when it is
// back.
func TestNothingIsSentLater(t *testing.T) {
	dir, address := t.TempDir(), harness.FreeAddr(t)
	bus := openBusAt(t, dir, address)
	nc := connect(t, address)
	dibs, err := client.OverNATS(nc)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, bus.Close)
	until(t, "the loss of the connection", func() bool { return !nc.IsConnected() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := dibs.Start(ctx, ana, xenia); !errors.Is(err, client.CodeUnavailable) || !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("while NATS is away: %v", err)
	}

	// A server that the first connection does not know of, until somebody listens.
	elsewhere := harness.FreeAddr(t)
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
