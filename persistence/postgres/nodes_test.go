package postgres_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/jackc/pgx/v5"
)

func yes() bool { return true }
func no() bool  { return false }

// asNode makes a store that of a node of a cluster.
func asNode(t *testing.T, s *postgres.Store, id string, valid, alone func() bool) {
	t.Helper()
	s.OfCluster()
	if _, err := s.Occupy(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	s.Enlist(id, valid, alone)
}

// What a node had sent when others took over is ended before they read; the sessions of
// nodes that are there are left alone, and so are those of nobody.
func TestOutliveEndsWhatTheDeadHadUnderWay(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	users, clients := b.people(t, 2), b.clients(t, 2)
	dead, live := open(t, b.url), open(t, b.url)
	asNode(t, b.store, "heir", yes, no)
	asNode(t, dead, "dead", yes, no)
	asNode(t, live, "live", yes, no)

	held, released := make(chan struct{}, 2), make(chan struct{})
	for _, s := range []*postgres.Store{dead, live} {
		s.ResolveWithin(time.Millisecond)
		var once atomic.Bool
		s.BreakAt(func(stage string, _ *pgx.Conn) error {
			if stage == postgres.Stages[3] && !once.Swap(true) { // before its commit is sent
				held <- struct{}{}
				<-released
			}
			return nil
		})
	}
	written := make([]chan error, 2)
	for i, s := range []*postgres.Store{dead, live} {
		written[i] = make(chan error, 1)
		go func() { written[i] <- claimBy(s, users[i], clients[i])() }()
	}
	<-held
	<-held
	if err := b.store.Outlive(t.Context(), []string{"heir", "live"}); err != nil {
		t.Fatal(err)
	}
	claims, err := b.store.ClaimsOfUsers(t.Context(), users)
	if err != nil || len(claims) != 0 {
		t.Fatalf("read %+v, %v", claims, err)
	}
	dead.Enlist("dead", no, no) // it is not trusted any more, and so cannot try again
	close(released)
	if err := <-written[0]; err == nil {
		t.Error("the dead node was told that its claim is committed")
	}
	if err := <-written[1]; err != nil {
		t.Errorf("the claim of a node that is there: %v", err)
	}
	claims, err = b.store.ClaimsOfUsers(t.Context(), users)
	if err != nil || len(claims) != 1 || claims[0].UserID != users[1] {
		t.Errorf("in the end there is %+v, %v", claims, err)
	}
}

// A node that is not trusted writes nothing, and says so; nor does one that is somebody
// else by now on a session that it had before.
func TestNodeWritesOnlyWhileItIsTrusted(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	users, clients := b.people(t, 3), b.clients(t, 3)
	var trusted atomic.Bool
	trusted.Store(true)
	asNode(t, b.store, "a", trusted.Load, no)
	if err := claimBy(b.store, users[0], clients[0])(); err != nil {
		t.Fatal(err)
	}
	trusted.Store(false)
	if err := claimBy(b.store, users[1], clients[1])(); messages.CodeOf(err) != messages.CodeOverloaded {
		t.Errorf("a node that is not trusted got %v", err)
	}
	b.store.Enlist("a again", yes, no)
	if err := claimBy(b.store, users[2], clients[2])(); err != nil {
		t.Error(err)
	}
	if err := b.store.Outlive(t.Context(), []string{"a again"}); err != nil {
		t.Error(err)
	}
	claims, err := b.store.ClaimsOfUsers(t.Context(), users)
	if err != nil || len(claims) != 2 {
		t.Errorf("%+v, %v", claims, err)
	}
}

// The only node that keeps actors writes like a server that has the database for itself,
// and others begin only when that is over.
func TestOnlyNodeWritesAtOnce(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	users, clients := b.people(t, 3), b.clients(t, 3)
	var alone atomic.Bool
	alone.Store(true)
	asNode(t, b.store, "a", yes, alone.Load)
	var atOnce atomic.Int64
	held, released := make(chan struct{}, 1), make(chan struct{})
	b.store.BreakAt(func(stage string, _ *pgx.Conn) error {
		if stage == postgres.StageAtOnce && atOnce.Add(1) == 2 {
			held <- struct{}{}
			<-released
		}
		return nil
	})
	defer b.heal()
	if err := claimBy(b.store, users[0], clients[0])(); err != nil || atOnce.Load() != 1 {
		t.Fatalf("%v, written at once %d times", err, atOnce.Load())
	}
	written := make(chan error, 1)
	go func() { written <- claimBy(b.store, users[1], clients[1])() }()
	<-held
	alone.Store(false)
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.store.Settle(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("others may begin (%v) while something is written that knows nothing of them", err)
	}
	if err := claimBy(b.store, users[2], clients[2])(); err != nil || atOnce.Load() != 2 {
		t.Errorf("with others: %v, written at once %d times", err, atOnce.Load())
	}
	settled := make(chan error, 1)
	go func() { settled <- b.store.Settle(t.Context()) }()
	close(released)
	if err := <-written; err != nil {
		t.Error(err)
	}
	if err := <-settled; err != nil {
		t.Error(err)
	}
}
