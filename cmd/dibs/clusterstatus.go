package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/placement/natskv"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

func (c *cli) clusterCommand() *cobra.Command {
	return newGroup("cluster", "The nodes of a cluster", `Shows the nodes of a cluster ('dibs serve --cluster').`, c.clusterStatusCommand())
}

// clusterStatus is what 'dibs cluster status' shows. Its names are for scripts: a field
// may be added, none changes.
type clusterStatus struct {
	Nodes []nodeStatus `json:"nodes"`
	// Backlog is how many batches of events wait to be published, BacklogAge since when
	// the first of them does, in seconds.
	Backlog    int     `json:"backlog"`
	BacklogAge float64 `json:"backlog_age_seconds"`
}

type nodeStatus struct {
	Name        string  `json:"name"`
	Incarnation string  `json:"incarnation"`
	Role        string  `json:"role"`
	State       string  `json:"state"` // joining, active, leaving, silent
	Share       float64 `json:"share"` // of all ids, whose actors live there; 0 to 1
	Heartbeat   float64 `json:"heartbeat_seconds"`
	Release     string  `json:"release"`
	Speaks      int     `json:"speaks"`
}

func (c *cli) clusterStatusCommand() *cobra.Command {
	var nats natsConfig
	var register string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the nodes, what each does, and what waits",
		Long: `Lists the nodes of the cluster. Give the --database-url of the nodes, and their
--nats-url if they have one.

  joining   it is not trusted with actors yet
  active    it does what its role says
  leaving   it gives its actors to others
  silent    nothing was heard of it for a second; after two, others take over

SHARE is how many of all users and clients have their actor there. HEARTBEAT is how
long the node's last one took. The backlog is events that are committed and not
published yet.`,
		Example: "  dibs cluster status\n  dibs cluster status --json | jq '.nodes[] | select(.state != \"active\")'",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.where.DatabaseURL == "" {
				return usagef("a cluster has a database: give --database-url")
			}
			where := clusterConfig{Register: register}
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				status, err := c.clusterStatus(ctx, store, nats, where.register(nats) == registerNATS)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(c.stdout).Encode(status)
				}
				return c.printCluster(status)
			})
		},
	}
	nats.bindAddress(cmd.Flags())
	cmd.Flags().StringVar(&register, "cluster-register", "", "where the nodes stand: nats or postgres (empty: nats with --nats-url, else postgres)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// clusterStatus reads the register twice: who has not written in between is silent.
func (c *cli) clusterStatus(ctx context.Context, store persistence.Store, nats natsConfig, inNATS bool) (clusterStatus, error) {
	read, done, err := c.registerReader(store, nats, inNATS)
	if err != nil {
		return clusterStatus{}, &exitError{exitUnavailable, err}
	}
	defer done()
	before, err := read(ctx)
	if err != nil {
		return clusterStatus{}, &exitError{exitUnavailable, err}
	}
	select {
	case <-time.After(2 * placement.BeatEvery):
	case <-ctx.Done():
		return clusterStatus{}, ctx.Err()
	}
	after, err := read(ctx)
	if err != nil {
		return clusterStatus{}, &exitError{exitUnavailable, err}
	}
	status := clusterStatus{Nodes: statusOf(before, after)}
	rows, oldest, err := store.OutboxBacklog(ctx)
	if err != nil {
		return clusterStatus{}, err
	}
	status.Backlog = rows
	if !oldest.IsZero() {
		status.BacklogAge = time.Since(oldest).Seconds()
	}
	return status, nil
}

func (c *cli) registerReader(store persistence.Store, nats natsConfig, inNATS bool) (read func(context.Context) ([]placement.Member, error), done func(), err error) {
	if !inNATS {
		pg, ok := store.(*postgres.Store)
		if !ok {
			return nil, nil, fmt.Errorf("a cluster needs a Postgres database")
		}
		return (&storeRegister{store: pg}).members, func() {}, nil
	}
	nc, err := natsapi.ConnectOnce(natsapi.Config{URL: nats.URL, Auth: nats.Auth, TLS: nats.TLS})
	if err != nil {
		return nil, nil, err
	}
	register, err := natskv.NewRegister(nc, nil, 1)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return register.Read, nc.Close, nil
}

// statusOf says how the members do that stood in the register at two moments, further
// apart than heartbeats.
func statusOf(before, after []placement.Member) []nodeStatus {
	beats := map[string]uint64{}
	for _, m := range before {
		beats[m.ID] = m.Beat
	}
	var owners []string
	for _, m := range after {
		if len(m.View) > 0 {
			owners = append(owners, m.ID)
		}
	}
	share := placement.NewOwners(owners).Shares()
	nodes := []nodeStatus{}
	for _, m := range placement.Sorted(after) {
		if m.Left {
			continue
		}
		n := nodeStatus{
			Name: m.Name, Incarnation: m.ID, Role: string(m.Role), State: "active", Share: share[m.ID],
			Heartbeat: m.Lag.Seconds(), Release: m.Release, Speaks: m.Speaks,
		}
		last, seen := beats[m.ID]
		switch {
		case seen && last == m.Beat:
			n.State = "silent"
		case m.Leaving:
			n.State = "leaving"
		case m.Role.Keeps() && len(m.View) == 0:
			n.State = "joining"
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func (c *cli) printCluster(status clusterStatus) error {
	t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "NODE\tROLE\tSTATE\tSHARE\tHEARTBEAT\tRELEASE")
	for _, n := range status.Nodes {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%.0f%%\t%.1f ms\t%s\n", n.Name, n.Role, n.State, 100*n.Share, 1000*n.Heartbeat, n.Release)
	}
	if err := t.Flush(); err != nil { // it keeps the first error
		return err
	}
	if status.Backlog == 0 {
		_, err := fmt.Fprintln(c.stdout, "\nAll events are published.")
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "\n%d batches of events wait to be published, the first for %.1f s.\n", status.Backlog, status.BacklogAge)
	return err
}
