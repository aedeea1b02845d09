package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/bench/rivals"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/dibs-calls/dibs/persistence/sqlite"
)

// profileVariable makes a shell listen for who wants a profile. For dibs, which
// has no such thing, it is the name of a file to write the address into.
const profileVariable = "PEERS_PROFILE"

// profiling is a file of package main that is compiled into dibs for -profile,
// and only then.
//
//go:embed profiling.go.txt
var profiling []byte //nolint:gochecknoglobals // embedded

// command starts a copy of this program as a shell.
func command(profile bool) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=shell")
	if profile {
		cmd.Env = append(cmd.Env, profileVariable+"=yes")
	}
	return cmd
}

// admitted is how many starts and ends every shell lets in at a time: all of them.
// What is compared is how fast they are answered, not who is sent away.
const admitted = 4096

// buildDibs compiles the program that people run.
func buildDibs(ctx context.Context, root, dir string, profile bool) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "bin", "dibs") // beside data folders of the same name
	args := []string{"build", "-buildvcs=false", "-trimpath", "-o", bin}
	if profile {
		source, overlay := filepath.Join(dir, "profiling.go"), filepath.Join(dir, "overlay.json")
		text, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, "cmd/dibs/profiling.go"): source}})
		if err != nil {
			return "", err
		}
		if err := errors.Join(os.WriteFile(source, profiling, 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/dibs")...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// openDibs fills a store and starts dibs on it. url is of Postgres; empty: SQLite.
func openDibs(ctx context.Context, bin, dir, name, url string, digest [32]byte, p rivals.People, profile bool) (*shell, error) {
	data := filepath.Join(dir, name)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if err := fillDibs(ctx, filepath.Join(data, "dibs.db"), url, digest, p); err != nil {
		return nil, err
	}
	s := &shell{}
	cmd := exec.Command(bin, "serve", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "warn",
		"--admission-limit", strconv.Itoa(admitted))
	if name == heard {
		cmd.Args = append(cmd.Args, "--nats-listen", "127.0.0.1:0")
	}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "DIBS_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	if url != "" {
		cmd.Env = append(cmd.Env, "DIBS_DATABASE_URL="+url)
	}
	address := filepath.Join(data, "pprof")
	if profile {
		cmd.Env = append(cmd.Env, profileVariable+"="+address)
	}
	c, err := spawn(dir, name, cmd, func(line string) bool {
		_, err := fmt.Sscanf(line, "dibs listens on %s", &s.url)
		return err == nil
	})
	s.child = c
	if err == nil && profile {
		var text []byte
		text, err = os.ReadFile(address) // written before main began
		s.pprof = string(text)
	}
	return s, err
}

func fillDibs(ctx context.Context, path, url string, digest [32]byte, p rivals.People) (err error) {
	store, err := migrated(ctx, path, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	users := make([]messages.NewUser, 0, len(p.Users))
	for i, id := range p.Users {
		users = append(users, messages.NewUser{User: userOf(i, id)})
	}
	if _, err := store.AddUsers(ctx, users); err != nil {
		return err
	}
	const batch = 1000
	for i := 0; i < len(p.Clients); i += batch {
		var clients []messages.Client
		for j := i; j < min(i+batch, len(p.Clients)); j++ {
			clients = append(clients, messages.Client{
				ID: messages.ClientID{UUID: p.Clients[j]}, Name: rivals.ClientName(j), Attributes: []byte("{}"),
			})
		}
		if err := store.AddClients(ctx, clients); err != nil {
			return err
		}
	}
	key := messages.APIKey{ID: uuid.New(), Name: "peers", Role: messages.RoleService}
	return store.AddAPIKey(ctx, digest, key, messages.Audit{})
}

func migrated(ctx context.Context, path, url string) (persistence.Store, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if url != "" {
		if _, err := postgres.Migrate(ctx, url); err != nil {
			return nil, err
		}
		return postgres.Open(ctx, postgres.Config{URL: url, Logger: log})
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // an empty file is a new store
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, err
	}
	if _, err := sqlite.Migrate(ctx, path); err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, sqlite.Config{Path: path, Logger: log})
}
