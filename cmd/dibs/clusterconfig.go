package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

// clusterConfig says whether this process is one node of several, and which.
type clusterConfig struct {
	On       bool
	Name     string // of this node; empty: the host's
	Role     string
	Register string // nats, postgres; empty: by where NATS is
	Listen   string // of the embedded NATS server, for those of the other nodes
	Peers    []string
	Token    string
}

const (
	registerNATS     = "nats"
	registerPostgres = "postgres"
)

func (c *clusterConfig) bind(flags *pflag.FlagSet) {
	flags.BoolVar(&c.On, "cluster", false, "this server is one node of several that share the work; needs --database-url, and --nats-url or --cluster-listen with --cluster-peers")
	flags.StringVar(&c.Name, "node-name", "", "name of this node, another one for each (empty: the host's name)")
	flags.StringVar(&c.Role, "role", string(placement.RoleAll), "what this node does: all, api (serves requests, keeps no actors), actors (keeps actors, serves no API)")
	flags.StringVar(&c.Register, "cluster-register", "", "where the nodes stand: nats (a bucket of the NATS at --nats-url) or postgres (empty: nats with --nats-url, else postgres)")
	flags.StringVar(&c.Listen, "cluster-listen", "", "address at which the NATS server inside this process takes those of the other nodes (host:port)")
	flags.StringSliceVar(&c.Peers, "cluster-peers", nil, "the --cluster-listen addresses of all nodes, with commas")
	flags.StringVar(&c.Token, "cluster-token", "", "secret that the NATS servers of the nodes show each other; needed beyond this machine (better as DIBS_CLUSTER_TOKEN)")
}

// check finds what can never work.
func (c *clusterConfig) check(cfg *serveConfig) error {
	if !c.On {
		return c.checkAlone()
	}
	if c.Name == "" {
		c.Name, _ = os.Hostname() // without it somebody has to give one
	}
	switch {
	case cfg.Store.DatabaseURL == "":
		return usagef("--cluster needs a database that all nodes reach: give --database-url (the built-in store is a file of one process)")
	case cfg.Demo:
		return usagef("--demo is for one process: leave out --cluster")
	case !placement.Role(c.Role).Valid():
		return usagef("--role %q: give all, api or actors", c.Role)
	case !validNodeName(c.Name):
		return usagef("--node-name %q: give a name of at most 63 characters without spaces and . * > /, as in node-1", c.Name)
	case cfg.NATS.URL == "" && c.Listen == "":
		return usagef("--cluster needs a NATS that all nodes reach: give --nats-url, or --cluster-listen and --cluster-peers, and the NATS servers inside the nodes form one")
	case cfg.NATS.URL != "" && c.Listen != "":
		return usagef("--cluster-listen is for NATS servers inside the nodes, and --nats-url for one of its own: give one of the two")
	case c.Register != "" && c.Register != registerNATS && c.Register != registerPostgres:
		return usagef("--cluster-register %q: give nats or postgres", c.Register)
	}
	return nil
}

// checkAlone finds settings of a cluster's node on a process that is none.
func (c *clusterConfig) checkAlone() error {
	switch {
	case c.Listen != "" || len(c.Peers) > 0 || c.Register != "":
		return usagef("--cluster-listen, --cluster-peers and --cluster-register are for the nodes of a cluster: give --cluster as well")
	case c.Role != string(placement.RoleAll):
		return usagef("--role is for the nodes of a cluster: give --cluster as well")
	}
	return nil
}

// validNodeName: it is part of a subject of NATS and of a session's name in Postgres.
func validNodeName(name string) bool {
	return name != "" && len(name) <= 63 && !strings.ContainsAny(name, " \t\r\n.*>/\\")
}

// register is where the nodes stand. The servers inside the nodes elect the leader of a
// bucket only some seconds after they lost it, and nobody would be a member meanwhile.
func (c *clusterConfig) register(nats natsConfig) string {
	switch {
	case c.Register != "":
		return c.Register
	case nats.URL != "":
		return registerNATS
	}
	return registerPostgres
}

// copies is how many servers keep each event: all of three, as one may be lost.
func (c *clusterConfig) copies() int {
	if len(c.Peers) >= 3 {
		return 3
	}
	return 1
}

// apply makes the NATS server inside the process one of several. The only one needs no
// others to find.
func (c *clusterConfig) apply(bus *natsapi.Config) {
	if !c.On || c.Listen == "" || c.only() {
		return
	}
	bus.Embedded.Routes = natsapi.RoutesConfig{Name: c.Name, Listen: c.Listen, Peers: c.Peers, Token: c.Token}
	if bus.Stream.Replicas <= 1 {
		bus.Stream.Replicas = c.copies()
	}
}

// only reports whether the NATS server inside this process knows of no others.
func (c *clusterConfig) only() bool {
	return c.Listen != "" && !slices.ContainsFunc(c.Peers, func(peer string) bool { return peer != c.Listen })
}

// checkMembers says why the events of this node do not reach the other members, if so: a
// node whose NATS server is the only one hears nothing of theirs, and they nothing of its.
func (c *clusterConfig) checkMembers(members []placement.Member) error {
	if !c.only() || len(members) < 2 {
		return nil
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	return fmt.Errorf("the nodes %s use one database, and the NATS server of this one knows of no others: start it anew with --cluster-peers as they have it", strings.Join(names, ", "))
}

// instance names this process among those of a deployment; empty: there are no others.
func (c *clusterConfig) instance() string {
	if !c.On {
		return ""
	}
	return c.Name
}

// actorsAlone reports whether this node answers no requests of its own.
func (c *clusterConfig) actorsAlone() bool {
	return c.On && placement.Role(c.Role) == placement.RoleActors
}

// handler leaves of the API what says how this node does, if it answers no requests.
func (c *clusterConfig) handler(api http.Handler) http.Handler {
	if !c.actorsAlone() {
		return api
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/readyz", "/metrics":
			api.ServeHTTP(w, r)
		default:
			http.Error(w, `{"error":"This node keeps actors and serves no API.","code":"not_found"}`, http.StatusNotFound)
		}
	})
}
