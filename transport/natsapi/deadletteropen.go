package natsapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// OpenDeadLetters connects to the server at cfg.URL, or to the one inside the
// running process that keeps its files in cfg.Embedded.Dir ([ErrNoServer] if
// none runs). Only the parts of cfg that say where and who are used.
func OpenDeadLetters(cfg Config) (*DeadLetters, error) {
	denied, deny := context.WithCancelCause(context.Background())
	nc, err := connectOnce(cfg, deny)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(storeTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("setting up JetStream: %w", err)
	}
	return &DeadLetters{js: js, close: nc.Close, denied: denied, within: storeTimeout}, nil
}

// connectOnce connects. It calls deny when the server does not permit something.
func connectOnce(cfg Config, deny context.CancelCauseFunc) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("dibs dead"), nats.Timeout(connectTimeout), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				deny(fmt.Errorf("%w: %w", ErrNotPermitted, err))
			}
		}),
	}
	if cfg.URL == "" {
		server, err := reach(cfg.Embedded.Dir)
		if err != nil {
			return nil, err
		}
		options = append(options, nats.InProcessServer(server))
		if cfg.Embedded.Token != "" {
			options = append(options, nats.Token(cfg.Embedded.Token))
		}
	} else {
		if err := errors.Join(cfg.Auth.check(), cfg.TLS.check()); err != nil {
			return nil, err
		}
		auth, err := cfg.Auth.options()
		if err != nil {
			return nil, err
		}
		options = append(append(options, auth...), cfg.TLS.options()...)
	}
	nc, err := nats.Connect(cfg.URL, options...)
	if err != nil {
		return nil, cannotConnect(err, cfg.URL)
	}
	return nc, nil
}
