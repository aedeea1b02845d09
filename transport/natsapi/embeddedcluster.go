package natsapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

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
	if number == 0 {
		number = server.RANDOM_PORT // with none it would be alone
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

// checkKind keeps a server that is alone and one of several out of each other's
// folders. Those of a cluster agree on which streams there are, and a stream that
// only the folder of one has is none of them: it would be removed, or its events mixed
// with others'. One that is alone takes every stream in the folder, and leaves some
// behind of which its cluster would know nothing.
func checkKind(cfg EmbeddedConfig) error {
	_, err := os.Stat(filepath.Join(cfg.Dir, server.JetStreamStoreDir, server.DEFAULT_SYSTEM_ACCOUNT, "_js_", "_meta_"))
	clustered := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR): // of a file the server tells
		return fmt.Errorf("the folder of the embedded NATS server cannot be used: %w", err)
	case clustered && cfg.Routes.Listen == "":
		return fmt.Errorf("the embedded NATS server in %s was one of a cluster and cannot go on alone with what that kept: give it its peers again, or move that folder away to begin with an empty one (events that were not published yet are safe in the store)", cfg.Dir)
	case !clustered && cfg.Routes.Listen != "" && len(streamFolders(cfg.Dir)) > 0:
		return fmt.Errorf("the embedded NATS server in %s was alone until now, and a cluster cannot take over its streams: start it alone again until readers have read on and call events and dead letters are worked off, stop it, and move that folder away (events that were not published yet are safe in the store)", cfg.Dir)
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
