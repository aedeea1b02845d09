package natsapi

import (
	"github.com/nats-io/nats.go"
)

// Connect connects to the server at cfg.URL as any other program does, to ask
// over it. Whoever calls it closes the connection. What cannot be sent is not
// kept for later.
func Connect(cfg Config, name string) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(name), nats.Timeout(connectTimeout), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.CustomReconnectDelay(reconnectDelay),
	}
	auth, err := cfg.Auth.options()
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(cfg.URL, append(append(options, auth...), cfg.TLS.options()...)...)
	if err != nil {
		return nil, cannotConnect(err, cfg.URL)
	}
	return nc, nil
}
