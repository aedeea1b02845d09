package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/internal/boottime"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/placement/membership"
	"github.com/dibs-calls/dibs/placement/natskv"
)

// cluster is this process as a node of several.
type cluster struct {
	*membership.Node
	bell *natskv.Bell
}

// newCluster makes this process a node of several, if it is told to. It does not join.
func (n *node) newCluster() (*cluster, error) {
	if !n.cfg.Cluster.On {
		return nil, nil
	}
	store, ok := n.store.(*postgres.Store)
	if !ok {
		return nil, errors.New("a cluster needs a Postgres database")
	}
	metrics, err := newClusterMetrics(n.registry)
	if err != nil {
		return nil, err
	}
	nc := n.bus.Conn()
	bell, err := natskv.NewBell(nc)
	if err != nil {
		return nil, err
	}
	var register membership.Register = &storeRegister{store: store, bell: bell}
	if n.cfg.Cluster.register(n.cfg.NATS) == registerNATS {
		if register, err = natskv.NewRegister(nc, bell, max(n.cfg.NATS.Replicas, n.cfg.Cluster.copies())); err != nil {
			return nil, err
		}
	}
	member := membership.New(membership.Config{
		Self: placement.Member{
			Name: n.cfg.Cluster.Name, Role: placement.Role(n.cfg.Cluster.Role), Release: release(), Speaks: actors.Protocol,
		},
		Register: register, Carrier: natskv.NewCarrier(nc), Sessions: store, Log: n.log, Observer: metrics,
		Now: boottime.Clock(),
	})
	metrics.watch(n.registry, member)
	return &cluster{Node: member, bell: bell}, nil
}

// placement is where actors live; nil: all of them here.
func (n *node) placement() actors.Placement {
	if n.cluster == nil {
		return nil
	}
	return n.cluster.Node
}

// joinCluster makes the engine's actors those of this node.
func (n *node) joinCluster() error {
	if n.cluster == nil {
		return nil
	}
	return n.cluster.Join(n.engine)
}

// leaveCluster gives the actors of this node to others, before it stops to answer.
func (n *node) leaveCluster(ctx context.Context) {
	if n.cluster == nil {
		return
	}
	ctx, done := context.WithTimeout(ctx, n.cfg.ShutdownTimeout/4)
	defer done()
	if err := n.cluster.Leave(ctx); err != nil {
		n.log.Warn("could not hand over to other nodes in time; they will find out", "error", err)
	}
}

func (c *cluster) close(ctx context.Context) error {
	defer c.bell.Close()
	return c.Close(ctx)
}

// storeRegister is the register of members in the store.
type storeRegister struct {
	store *postgres.Store
	bell  *natskv.Bell
	last  placement.Member
}

// Exchange implements [membership.Register].
func (r *storeRegister) Exchange(ctx context.Context, own placement.Member) ([]placement.Member, error) {
	record, err := json.Marshal(own)
	if err != nil {
		return nil, err
	}
	written, err := r.store.PutNode(ctx, own.ID, own.Beat, record)
	if err != nil {
		return nil, fmt.Errorf("writing to the register: %w", err)
	}
	members, err := r.members(ctx)
	if err != nil {
		return nil, err
	}
	if !written {
		for _, m := range members {
			if m.ID == own.ID && m.Left {
				return nil, membership.ErrEvicted
			}
		}
		return nil, errors.New("writing to the register: a later write is there already")
	}
	if natskv.Differs(r.last, own) {
		r.bell.Ring()
	}
	r.last = own
	return members, nil
}

func (r *storeRegister) members(ctx context.Context) ([]placement.Member, error) {
	records, err := r.store.Nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the register: %w", err)
	}
	members := make([]placement.Member, 0, len(records))
	for _, record := range records {
		m := placement.Member{ID: record.ID, Left: record.Removed}
		if !record.Removed {
			if err := json.Unmarshal(record.Record, &m); err != nil {
				return nil, fmt.Errorf("what %s says in the register cannot be understood: %w", record.ID, err)
			}
		}
		members = append(members, m)
	}
	return members, nil
}

// Remove implements [membership.Register].
func (r *storeRegister) Remove(ctx context.Context, id string) error {
	defer r.bell.Ring()
	return r.store.RemoveNode(ctx, id)
}

// Changed implements [membership.Register].
func (r *storeRegister) Changed() <-chan struct{} { return r.bell.Rung() }
