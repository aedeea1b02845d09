package natsapi

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// RoutesConfig makes embedded servers one NATS cluster. With fewer than three, there is
// no majority without each of them.
type RoutesConfig struct {
	Name   string   // of this server; no two in a cluster have the same
	Listen string   // host:port for the other servers; empty: this server is alone
	Peers  []string // host:port of the others; its own may be among them
	Token  string   // what the servers show each other; needed beyond loopback
}

func (c RoutesConfig) check() error {
	if c.Listen == "" {
		if len(c.Peers) > 0 {
			return errors.New("the other NATS servers cannot reach the embedded one: give it an address for them to listen on")
		}
		return nil
	}
	for _, address := range append([]string{c.Listen}, c.Peers...) {
		_, port, err := net.SplitHostPort(address)
		if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
			return fmt.Errorf("the embedded NATS servers cannot reach each other at %q: give host:port, as in 10.0.0.5:6222", address)
		}
		if !loopback(address) && c.Token == "" {
			return fmt.Errorf("the embedded NATS server at %s could be reached from other machines, and whoever reaches it can read and forge everything: give the servers a token in common", address)
		}
	}
	return nil
}

// apply sets the options of a server that is one of several.
func (c RoutesConfig) apply(o *server.Options) error {
	if c.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return err // check has seen it
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	o.ServerName = c.Name
	o.Cluster = server.ClusterOpts{Name: "dibs", Host: host, Port: number, NoAdvertise: true}
	var user *url.Userinfo
	if c.Token != "" {
		o.Cluster.Username, o.Cluster.Password, o.Cluster.AuthTimeout = "dibs", c.Token, connectTimeout.Seconds()
		user = url.UserPassword("dibs", c.Token)
	}
	if o.DontListen { // a server finds the others only when it has a port for clients
		o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
		o.CustomClientAuthentication = insiders{}
	}
	for _, peer := range slices.Compact(slices.Sorted(slices.Values(c.Peers))) {
		if peer != c.Listen {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: peer, User: user})
		}
	}
	return nil
}

// insiders lets in whoever connects from inside the process (which the control socket
// does as well), and nobody at the port.
type insiders struct{}

// Check implements [server.Authentication].
func (insiders) Check(c server.ClientAuthentication) bool {
	address := c.RemoteAddress()
	return address == nil || address.Network() == "pipe"
}

// Conn is the connection, for what rides on it beside the events.
func (b *Bus) Conn() *nats.Conn { return b.link.nc }

// Connected reports that there is no connection to NATS, if so. Unlike [Bus.Ready] it does
// not ask for the streams, which may be without a leader for some seconds.
func (b *Bus) Connected() error {
	if up, _ := b.link.state(); !up {
		return errors.New("there is no connection to NATS")
	}
	return nil
}

// ConnectOnce connects to the server at cfg.URL for a command: when the connection is lost
// it is not made again. Only the parts of cfg that say where and who are used.
func ConnectOnce(cfg Config) (*nats.Conn, error) { return connectOnce(cfg, func(error) {}) }
