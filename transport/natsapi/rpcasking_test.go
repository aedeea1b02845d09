package natsapi

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// engine is a fake that says what a test has it say, and remembers what it was
// told.
type engine struct {
	mu      sync.Mutex
	says    messages.Answer
	wait    chan struct{} // if set, commands wait until it is closed
	panics  bool
	started []messages.StartCall
	ended   []messages.EndCall
	renewed []messages.RenewCall
	left    time.Duration // until the deadline of the last command
}

// set changes what it does, or looks at what it was told.
func (e *engine) set(change func(e *engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *engine) command(ctx context.Context, note func()) messages.Answer {
	e.mu.Lock()
	note()
	deadline, _ := ctx.Deadline()
	e.left = time.Until(deadline)
	says, wait, panics := e.says, e.wait, e.panics
	e.mu.Unlock()
	if panics {
		panic("secret detail")
	}
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return messages.Answer{Code: messages.CodeOutcomeUnknown}
		}
	}
	return says
}

func (e *engine) StartCall(ctx context.Context, cmd messages.StartCall) messages.Answer {
	return e.command(ctx, func() { e.started = append(e.started, cmd) })
}

func (e *engine) EndCall(ctx context.Context, cmd messages.EndCall) messages.Answer {
	return e.command(ctx, func() { e.ended = append(e.ended, cmd) })
}

func (e *engine) RenewCall(ctx context.Context, cmd messages.RenewCall) messages.Answer {
	return e.command(ctx, func() { e.renewed = append(e.renewed, cmd) })
}

func (e *engine) Availability(ctx context.Context, client messages.ClientID) messages.Availability {
	if client.UUID != theClient {
		return messages.Availability{Code: messages.CodeClientNotFound}
	}
	a := e.command(ctx, func() {})
	return messages.Availability{Code: a.Code, Caller: a.Caller}
}

func (e *engine) UserByID(_ context.Context, id messages.UserID) (messages.Account, error) {
	if id.UUID != theUser {
		return messages.Account{}, &messages.Error{Code: messages.CodeUserNotFound}
	}
	return messages.Account{User: messages.User{ID: id, FirstName: "Ana", Role: messages.RoleUser}}, nil
}

var (
	theUser   = natstest.ID(0x05, 1)
	theClient = natstest.ID(0xc1, 1)
	theCall   = natstest.Started(1, 0).Call
)

// asking is a running service and a connection of somebody who asks it.
type asking struct {
	*testing.T
	engine  *engine
	service *Service
	nc      *nats.Conn
	bus     *Bus
}

func newAsking(t *testing.T, change ...func(*ServiceConfig)) *asking {
	t.Helper()
	cfg := inProcess(t, t.TempDir())
	cfg.Embedded.Listen = "127.0.0.1:0"
	bus := open(t, cfg)
	call := theCall
	e := &engine{says: messages.Answer{Call: &call}}
	sc := ServiceConfig{Calls: e, People: e, Version: "v1.2.3"}
	for _, f := range change {
		f(&sc)
	}
	service, err := bus.NewService(sc)
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopService(t, service) })
	nc, err := nats.Connect(bus.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return &asking{t, e, service, nc, bus}
}

func stopService(t *testing.T, s *Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// ask sends body, with headers as name and value in turn, and returns the
// answer.
func (a *asking) ask(subject, body string, headers ...string) *nats.Msg {
	a.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = []byte(body)
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Add(headers[i], headers[i+1])
	}
	answer, err := a.nc.RequestMsg(msg, 20*time.Second)
	if err != nil {
		a.Fatalf("%s: %v", subject, err)
	}
	return answer
}

// refused asks for something that must be refused with code.
func (a *asking) refused(code messages.Code, subject, body string, headers ...string) *nats.Msg {
	a.Helper()
	answer := a.ask(subject, body, headers...)
	var in struct {
		Error string
		Code  messages.Code
	}
	if err := json.Unmarshal(answer.Data, &in); err != nil || in.Code != code || in.Error == "" ||
		answer.Header.Get(micro.ErrorHeader) != string(code) || len(answer.Header.Get(micro.ErrorCodeHeader)) != 3 {
		a.Errorf("%s %.80s: %v %s %v; want %s", subject, body, answer.Header, answer.Data, err, code)
	}
	return answer
}

func (a *asking) granted(subject, body string, headers ...string) map[string]any {
	a.Helper()
	answer := a.ask(subject, body, headers...)
	var in map[string]any
	if err := json.Unmarshal(answer.Data, &in); err != nil || answer.Header.Get(micro.ErrorHeader) != "" {
		a.Fatalf("%s: %v %s", subject, answer.Header, answer.Data)
	}
	return in
}

func userAnd(fields string) string { return `{"user_id":"` + theUser.String() + `"` + fields + `}` }

func theStart() string { return userAnd(`,"client_id":"` + theClient.String() + `"`) }

// told is what the engine was told so far.
func (a *asking) told() *engine {
	a.engine.mu.Lock()
	defer a.engine.mu.Unlock()
	return &engine{wait: a.engine.wait, left: a.engine.left,
		started: a.engine.started, ended: a.engine.ended, renewed: a.engine.renewed}
}
