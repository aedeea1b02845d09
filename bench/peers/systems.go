package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/bench/rivals"
	"github.com/dibs-calls/dibs/fleet"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// system is one of those that are compared.
type system struct {
	name  string // as flags have it
	title string // as tables have it
	claim bool   // it keeps claims; else it is a measure for the rest
	hold  bool   // it refuses
	lists bool   // it can say who is on a call
}

// heard is dibs with a port for its NATS, and so with a stream of status events.
const heard = "dibs-heard"

func allSystems() []system {
	return []system{
		{name: "empty", title: "empty handler"},
		{name: "nothing", title: "HTTP layer alone"},
		{name: "dibs", title: "dibs on Postgres", claim: true, hold: true, lists: true},
		{name: heard, title: "dibs, heard over NATS", claim: true},
		{name: "dibs-sqlite", title: "dibs on SQLite", claim: true, hold: true, lists: true},
		{name: "three", title: "three statements", claim: true, hold: true},
		{name: "conditional", title: "conditional update", claim: true, hold: true},
		{name: "redis", title: "Redis", claim: true, hold: true},
		{name: "etcd", title: "etcd", claim: true, hold: true},
		{name: "nats", title: "NATS key-value", claim: true, hold: true},
	}
}

func systemNames() (names []string) {
	for _, s := range allSystems() {
		names = append(names, s.name)
	}
	return names
}

// shell is a running server shell and its store.
type shell struct {
	system
	*child
	url    string
	pprof  string // address; empty or "-": no profiles
	store  []int  // processes of the store that are not the shell's
	stores *store // to be stopped with it
}

// lab is everything that runs.
type lab struct {
	options
	dir    string
	people rivals.People
	token  string
	pg     *pgtest.Server
	pgPIDs []int
	shells []*shell
	dibs   string // binary
}

const (
	users   = 2048
	clients = 10_000
)

// openLab starts all stores and shells. What was started must be closed, also
// after an error.
func openLab(ctx context.Context, o options) (l *lab, err error) {
	l = &lab{options: o, people: rivals.NewPeople(max(users, slices.Max(o.connections)+1), clients)}
	if l.dir, err = os.MkdirTemp("", "dibs-peers-"); err != nil {
		return l, err
	}
	var digest [32]byte
	l.token, digest = auth.NewAPIKey()
	for _, s := range allSystems() {
		if !slices.Contains(o.only, s.name) {
			continue
		}
		sh, err := l.open(ctx, s, digest)
		if sh != nil {
			sh.system = s
			l.shells = append(l.shells, sh)
		}
		if err != nil {
			return l, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return l, nil
}

func (l *lab) open(ctx context.Context, s system, digest [32]byte) (_ *shell, err error) {
	if strings.HasPrefix(s.name, "dibs") {
		return l.openDibs(ctx, s, digest)
	}
	cfg := shellConfig{System: s.name, Digest: digest[:], People: l.people}
	sh := &shell{}
	switch s.name {
	case "three", "conditional":
		if cfg.Store, err = l.database(ctx, s.name); err == nil {
			err = rivals.PreparePostgres(ctx, cfg.Store, s.name == "conditional", l.people)
		}
		sh.store = l.pgPIDs
	case "redis":
		sh.stores, err = openRedis(ctx, l.dir)
	case "etcd":
		sh.stores, err = openEtcd(ctx, l.dir)
	case "nats":
		sh.stores, err = openNATS(l.dir)
	}
	if err != nil {
		return sh, err
	}
	if sh.stores != nil {
		cfg.Store, sh.store = sh.stores.address, sh.stores.pids
	}
	sh.child, sh.url, sh.pprof, err = startShell(l.dir, l.profile != "", cfg)
	return sh, err
}

func (l *lab) openDibs(ctx context.Context, s system, digest [32]byte) (_ *shell, err error) {
	if l.dibs == "" {
		if l.dibs, err = buildDibs(ctx, l.root, l.dir, l.profile != ""); err != nil {
			return nil, err
		}
	}
	url := ""
	if s.name != "dibs-sqlite" {
		if url, err = l.database(ctx, s.name); err != nil {
			return nil, err
		}
	}
	sh, err := openDibs(ctx, l.dibs, l.dir, s.name, url, digest, l.people, l.profile != "")
	if sh != nil && url != "" {
		sh.store = l.pgPIDs
	}
	return sh, err
}

// database makes a database for a system, on the one server.
func (l *lab) database(ctx context.Context, name string) (url string, err error) {
	if l.pg == nil {
		if l.pg, l.pgPIDs, err = openPostgres(ctx); err != nil {
			return "", err
		}
	}
	return l.pg.CreateDatabase("peers_" + name)
}

func (l *lab) close() (err error) {
	for _, s := range slices.Backward(l.shells) {
		if s.child != nil {
			err = errors.Join(err, s.child.stop())
		}
		if s.stores != nil {
			err = errors.Join(err, s.stores.stop())
		}
	}
	if l.pg != nil {
		err = errors.Join(err, l.pg.Close())
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// network is a shell as the fleet sees it.
func (l *lab) network(s *shell) (*fleet.HTTP, error) {
	n, err := fleet.NewHTTP(s.url, l.token, requestTimeout)
	if err != nil {
		return nil, err
	}
	return n.Lean(), nil
}

// ids as the fleet has them.
func ids[T fmt.Stringer](from []T) (to []string) {
	for _, id := range from {
		to = append(to, id.String())
	}
	return to
}
