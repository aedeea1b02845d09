package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // for -profile
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/bench/rivals"
	"github.com/dibs-calls/dibs/transport/httpapi"
)

// shellConfig is what a shell process is told on its standard input.
type shellConfig struct {
	System string
	Store  string // address
	Digest []byte // of the API key that may ask
	People rivals.People
}

// startShell starts a copy of this program as the shell of a system.
func startShell(dir string, profile bool, cfg shellConfig) (c *child, url, pprof string, err error) {
	input, err := json.Marshal(cfg)
	if err != nil {
		return nil, "", "", err
	}
	cmd := command(profile)
	cmd.Stdin = bytes.NewReader(input)
	c, err = spawn(dir, "shell-"+cfg.System, cmd, func(line string) bool {
		_, err := fmt.Sscanf(line, "listening %s %s", &url, &pprof)
		return err == nil
	})
	return c, url, pprof, err
}

// runShell is that copy: dibs' HTTP layer with a rival behind it.
func runShell(ctx context.Context) error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var cfg shellConfig
	if err := json.Unmarshal(input, &cfg); err != nil {
		return err
	}
	handler, closing, err := newHandler(ctx, cfg)
	if err != nil {
		return err
	}
	defer closing()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := httpapi.NewServer(handler, httpapi.Limits{}, log)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	fmt.Printf("listening http://%s %s\n", ln.Addr(), servePprof())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}

// servePprof listens for who wants a profile; "-" if nobody does.
func servePprof() string {
	if os.Getenv(profileVariable) == "" {
		return "-"
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "-"
	}
	go func() { _ = http.Serve(ln, nil) }() //nolint:gosec // this machine alone, for a measurement
	return "http://" + ln.Addr().String()
}

func newHandler(ctx context.Context, cfg shellConfig) (http.Handler, func(), error) {
	digest := [32]byte(cfg.Digest)
	if cfg.System == "empty" {
		return emptyHandler(digest), func() {}, nil
	}
	rival, err := openRival(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	passwords, err := auth.NewPasswords(auth.DefaultParams(), auth.DefaultMemoryBudget)
	if err != nil {
		return nil, nil, err
	}
	people := newDirectory(digest, cfg.People)
	api, err := httpapi.New(httpapi.Config{
		Calls: engine{rival, people}, Store: people, Passwords: passwords,
		Admission: admission.New(admission.Options{Fixed: admitted}),
		Ready:     func(context.Context) error { return nil },
		Metrics:   prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	return api, rival.Close, err
}

func openRival(ctx context.Context, cfg shellConfig) (rivals.Rival, error) {
	switch cfg.System {
	case "three":
		return rivals.NewThreeStatements(ctx, cfg.Store)
	case "conditional":
		return rivals.NewConditionalUpdate(ctx, cfg.Store)
	case "redis":
		return rivals.NewRedis(ctx, cfg.Store)
	case "etcd":
		return rivals.NewEtcd(ctx, cfg.Store, cfg.People.Users)
	case "nats":
		return rivals.NewNATS(ctx, cfg.Store)
	case "nothing":
		return rivals.NewNothing(), nil
	}
	return nil, fmt.Errorf("there is no rival %q", cfg.System)
}
