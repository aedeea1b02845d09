package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/httpapi"
	"github.com/dibs-calls/dibs/transport/natsapi"
	"github.com/dibs-calls/dibs/transport/wire"
)

// stuck is an engine that does not answer until it is told to.
type stuck struct {
	wire.Calls
	entered, leave chan struct{}
}

func (s *stuck) StartCall(context.Context, messages.StartCall) messages.Answer {
	close(s.entered)
	<-s.leave
	return messages.Answer{Code: messages.CodeUserOnCall}
}

func (s *stuck) UserByID(_ context.Context, id messages.UserID) (messages.Account, error) {
	return messages.Account{User: messages.User{ID: id, Role: messages.RoleUser}}, nil
}

// A request over NATS that does not end takes no time from those over HTTP.
func TestBothWaysInStopTogether(t *testing.T) {
	address := harness.FreeAddr(t)
	log := slog.New(slog.DiscardHandler)
	bus, err := natsapi.Open(t.Context(), natsapi.Config{
		Embedded: natsapi.EmbeddedConfig{Dir: t.TempDir(), Listen: address}, Metrics: prometheus.NewRegistry(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bus.Close(context.Background()) }()
	engine := &stuck{entered: make(chan struct{}), leave: make(chan struct{})}
	rpc, err := bus.NewService(natsapi.ServiceConfig{Calls: engine, People: engine})
	if err != nil {
		t.Fatal(err)
	}
	if err := rpc.Start(); err != nil {
		t.Fatal(err)
	}
	caller, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caller.Close() }()
	body := fmt.Sprintf(`{"user_id":%q,"client_id":%q}`, uuid.New(), uuid.New())
	if _, err := fmt.Fprintf(caller, "CONNECT {}\r\nPUB dibs.rpc.start nobody %d\r\n%s\r\n", len(body), body); err != nil {
		t.Fatal(err)
	}
	<-engine.entered

	entered, leave := make(chan struct{}), make(chan struct{})
	server := httpapi.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	}), httpapi.Limits{}, log)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	<-entered

	n := &node{cfg: serveConfig{ShutdownTimeout: 20 * time.Second}, log: log, rpc: rpc, server: server}
	stopped := make(chan struct{})
	go func() { defer close(stopped); n.stopCallers(context.Background()) }()
	for refused := false; !refused; <-time.After(2 * time.Millisecond) {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if refused = err != nil; !refused {
			_ = conn.Close()
		}
	}
	close(leave)
	if err := <-answered; err != nil {
		t.Errorf("the request over HTTP was broken off: %v", err)
	}
	close(engine.leave)
	<-stopped
}
