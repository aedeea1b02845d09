// Command threenodes shows a cluster on one machine: it starts a Postgres of its
// own (unless DIBS_DATABASE_URL names one) and three nodes of dibs on loopback,
// says where they are and what to try, and stops all of it at Ctrl-C. A node that
// is killed is started again after a while. Nothing is left behind.
//
//	threenodes bin/dibs
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dibs-calls/dibs/persistence/pgtest"
)

const (
	startWithin = time.Minute
	stopWithin  = 20 * time.Second
	// absent is how long a node that was killed stays away, so that one can see
	// that the others go on.
	absent = 15 * time.Second
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: threenodes <the dibs program>")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "threenodes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, binary string) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "dibs-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	database, closeDatabase, err := openDatabase()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase()) }()
	if err := seed(ctx, binary, dir, database); err != nil {
		return err
	}
	nodes, err := plan(out, binary, dir, database)
	if err != nil {
		return err
	}
	return show(ctx, out, nodes, database)
}

// show runs the nodes until ctx ends or one of them fails.
func show(ctx context.Context, out io.Writer, nodes []*node, database string) (err error) {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(nodes))
	for _, n := range nodes {
		all.Go(func() { failed <- n.keep(ctx) })
	}
	for _, n := range nodes {
		if err := n.waitReady(ctx, failed); err != nil {
			return err
		}
	}
	explain(out, nodes, database)
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(out, "\nStopping.")
		for range nodes {
			err = errors.Join(err, <-failed)
		}
		return err
	case err := <-failed:
		return err
	}
}

// openDatabase makes a database, or takes the one that is named.
func openDatabase() (url string, closeIt func() error, err error) {
	if url := os.Getenv("DIBS_DATABASE_URL"); url != "" {
		return url, func() error { return nil }, nil
	}
	server, err := pgtest.New(pgtest.Options{Durable: true})
	if err != nil {
		return "", nil, err
	}
	url, err = server.CreateDatabase("dibs")
	if err != nil {
		return "", nil, errors.Join(err, server.Close())
	}
	return url, server.Close, nil
}

// seed has a single server make the demo's people and clients, which no node of a
// cluster does.
func seed(ctx context.Context, binary, dir, database string) error {
	n := &node{name: "seed", http: "127.0.0.1:0", binary: binary, dir: filepath.Join(dir, "seed"), database: database, args: []string{"--demo"}}
	return n.once(ctx)
}

// plan gives each node its addresses: 8081 and so on where they are free.
func plan(out io.Writer, binary, dir, database string) ([]*node, error) {
	var nodes []*node
	var peers []string
	for i, name := range []string{"a", "b", "c"} {
		http, err := address(fmt.Sprintf("127.0.0.1:%d", 8081+i))
		if err != nil {
			return nil, err
		}
		cluster, err := address(fmt.Sprintf("127.0.0.1:%d", 6221+i))
		if err != nil {
			return nil, err
		}
		peers = append(peers, cluster)
		nodes = append(nodes, &node{out: out, name: name, http: http, cluster: cluster, binary: binary, dir: filepath.Join(dir, name), database: database})
	}
	for _, n := range nodes {
		n.args = []string{"--cluster", "--node-name", n.name, "--cluster-listen", n.cluster, "--cluster-peers", strings.Join(peers, ",")}
	}
	return nodes, nil
}

// address is the one that is wanted, or a free one where it is taken.
func address(wanted string) (string, error) {
	l, err := net.Listen("tcp", wanted)
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func explain(out io.Writer, nodes []*node, database string) {
	_, _ = fmt.Fprint(out, "\nThree nodes of dibs are one cluster:\n\n")
	for _, n := range nodes {
		_, _ = fmt.Fprintf(out, "  %s  http://%s  (process %d, log %s)\n", n.name, n.http, n.pid(), n.log())
	}
	_, _ = fmt.Fprintf(out, `
  People    ana@example.com, ben@example.com, admin@example.com (an administrator)
  Password  demo-password

Sign in as Ana at one node and as Ben at another, in two browsers, and call the same
client. Or kill a node: kill -9 %d. The others go on, and it comes back after %s.

  bin/dibs cluster status --data %s --database-url %q

Ctrl-C stops everything, and removes it.
`, nodes[2].pid(), absent, nodes[0].dir, database)
}
