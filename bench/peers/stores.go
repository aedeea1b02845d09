package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// store is a running store: where it is, and whose processors it uses.
type store struct {
	address string
	pids    []int
	stop    func() error
}

// openPostgres starts a private server, and asserts what makes commits durable.
func openPostgres(ctx context.Context) (*pgtest.Server, []int, error) {
	pg, err := pgtest.New(pgtest.Options{Durable: true, Settings: map[string]string{"max_connections": "200"}})
	if err != nil {
		return nil, nil, err
	}
	conn, err := pgx.Connect(ctx, pg.AdminURL("postgres"))
	if err != nil {
		return pg, nil, err
	}
	defer conn.Close(ctx)
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := conn.QueryRow(ctx, "SHOW "+name).Scan(&value); err != nil {
			return pg, nil, err
		}
		if value != "on" {
			return pg, nil, fmt.Errorf("postgres: %s is %s", name, value)
		}
	}
	var dir string
	if err := conn.QueryRow(ctx, `SHOW data_directory`).Scan(&dir); err != nil {
		return pg, nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return pg, nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(text), "\n", 2)[0]))
	return pg, []int{pid}, err
}

// openRedis starts a server that syncs its append-only file before it answers.
// That it does is asserted by the shell (rivals.NewRedis).
func openRedis(ctx context.Context, dir string) (*store, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no")
	return started(ctx, dir, "redis-server", addr, cmd)
}

// openEtcd starts a server of one member. It syncs its log before it answers:
// there is a flag to switch that off (--unsafe-no-fsync), which is not given.
func openEtcd(ctx context.Context, dir string) (*store, error) {
	client, err := freeAddr()
	if err != nil {
		return nil, err
	}
	peer, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("etcd", "--data-dir", filepath.Join(dir, "etcd"), "--logger", "zap", "--log-level", "error",
		"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "default=http://"+peer)
	return started(ctx, dir, "etcd", client, cmd)
}

// openNATS starts a copy of this program as a NATS server.
func openNATS(dir string) (*store, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=nats", "PEERS_DIR="+dir)
	s := &store{}
	c, err := spawn(dir, "nats", cmd, func(line string) bool { s.address = line; return true })
	if err != nil {
		return nil, err
	}
	s.pids, s.stop = []int{c.pid()}, c.stop
	return s, nil
}

// runNATS is that copy. Every write is synced before it is acknowledged.
func runNATS(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, SyncAlways: true,
		StoreDir: filepath.Join(os.Getenv("PEERS_DIR"), "nats"), NoSigs: true,
	})
	if err != nil {
		return err
	}
	ns.Start()
	if !ns.ReadyForConnections(20 * time.Second) {
		return errors.New("the NATS server does not become ready")
	}
	fmt.Println(ns.ClientURL())
	<-ctx.Done()
	ns.Shutdown()
	ns.WaitForShutdown()
	return nil
}

// started starts a server and waits until something listens on its address.
func started(ctx context.Context, dir, name, addr string, cmd *exec.Cmd) (*store, error) {
	c, err := spawn(dir, name, cmd, nil)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return &store{addr, []int{c.pid()}, c.stop}, nil
		}
		select {
		case <-c.done:
			return nil, c.ended(name)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s does not listen: %w", name, err), c.stop())
		}
	}
}
