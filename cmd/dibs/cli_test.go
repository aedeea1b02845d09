package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExitCodes runs what needs no store, or has none.
func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		args string
		env  string // name=value
		code int
		says string
	}{
		{args: "", code: exitOK},
		{args: "help", code: exitOK},
		{args: "help exit-codes", code: exitOK},
		{args: "exit-codes", code: exitOK},
		{args: "help csv", code: exitOK},
		{args: "help environment", code: exitOK},
		{args: "version", code: exitOK},
		{args: "users", code: exitOK},
		{args: "completion bash", code: exitOK},
		{args: "completion zsh", code: exitOK},
		{args: "completion fish", code: exitOK},
		{args: "completion powershell", code: exitOK},
		{args: "migrate status", code: exitOK},

		{args: "frobnicate", code: exitUsage, says: `no command "dibs frobnicate"`},
		{args: "users lits", code: exitUsage, says: "did you mean list?"},
		{args: "users list extra", code: exitUsage, says: `"extra" is one argument too many`},
		{args: "users add", code: exitUsage, says: "the e-mail address is missing"},
		{args: "users add x", code: exitUsage, says: "is not an e-mail address"},
		{args: "users add a@example.com --role service", code: exitUsage, says: "neither user nor admin"},
		{args: "users add a@example.com", code: exitUsage, says: "--password-stdin"},
		{args: "users add a@example.com --password-stdin --no-password", code: exitUsage},
		{args: "users list --frob", code: exitUsage, says: "--frob"},
		{args: "users disable", code: exitUsage},
		{args: "clients import", code: exitUsage, says: "the file"},
		{args: "clients import x.csv --region us", code: exitUsage, says: "two capital letters"},
		{args: "token create", code: exitUsage, says: "--name"},
		{args: "token create --name x --role user", code: exitUsage, says: "users add"},
		{args: "token create --name x --rate-limit -1", code: exitUsage, says: "--rate-limit"},
		{args: "token revoke x", code: exitUsage, says: "UUID"},

		{args: "users list", code: exitFailed, says: "there is no store yet"},
		{args: "clients export", code: exitFailed, says: "there is no store yet"},
		{args: "clients import /nowhere.csv --dry-run", code: exitFailed, says: "no such file"},
		{args: "clients import / --dry-run", code: exitFailed, says: "folder"},
		{args: "users list --database-url postgres://127.0.0.1:1/x", code: exitUnavailable},
		{args: "users list --data /dev/null", code: exitUnavailable},

		{args: "serve extra", code: exitUsage},
		{args: "serve --listen 80", code: exitUsage, says: "host:port"},
		{args: "serve --listen 127.0.0.1:http-alt", code: exitUsage, says: "not a port"},
		{args: "serve --log-format xml", code: exitUsage},
		{args: "serve --log-level loud", code: exitUsage},
		{args: "serve --tls-cert x", code: exitUsage, says: "belong together"},
		{args: "serve --shutdown-timeout 0s", code: exitUsage},
		{args: "serve --default-region Mars", code: exitUsage},
		{args: "serve --admin-email me", code: exitUsage},
		{args: "serve --tls-cert /nowhere --tls-key /nowhere", code: exitFailed, says: "the TLS files"},
		{args: "serve --listen :8080", code: exitRefused, says: "--behind-proxy"},
		{args: "serve --listen 0.0.0.0:8080", code: exitRefused},
		{args: "serve --listen [::]:8080", code: exitRefused},
		{args: "serve --listen dibs.example.com:8080", code: exitRefused},
		{args: "serve --demo --listen :8080", code: exitRefused, says: "this machine only"},
		{args: "serve --demo --behind-proxy", code: exitRefused, says: "this machine only"},

		{args: "serve", env: "DIBS_LISTEN=80", code: exitUsage, says: "--listen"},
		{args: "serve", env: "DIBS_DEMO=perhaps", code: exitUsage, says: "the variable DIBS_DEMO is"},
		{args: "serve", env: "DIBS_SHUTDOWN_TIMEOUT=10", code: exitUsage, says: "DIBS_SHUTDOWN_TIMEOUT"},
		{args: "serve", env: "DIBS_LOG_LEVEL=loud", code: exitUsage, says: "DIBS_LOG_LEVEL"},
		{args: "token create --name x", env: "DIBS_RATE_LIMIT=fast", code: exitUsage, says: "give a number"},
	} {
		t.Run(tt.args+" "+tt.env, func(t *testing.T) {
			sh := newShell(t)
			if name, value, ok := strings.Cut(tt.env, "="); ok {
				sh.env[name] = value
			}
			r := sh.want(tt.code, strings.Fields(tt.args)...)
			if tt.code == exitOK && r.stdout == "" {
				t.Error("it says nothing")
			}
			has(t, r.stderr, tt.says)
			if tt.code != exitOK && strings.Count(r.stderr, "dibs: ") != 1 {
				t.Errorf("not one sentence: %s", r.stderr)
			}
			if _, err := os.Stat(sh.env["DIBS_DATA"]); err == nil {
				t.Error("it made a data folder")
			}
		})
	}
}

func TestAFlagWinsOverItsVariable(t *testing.T) {
	sh := newShell(t)
	sh.env["DIBS_REGION"] = "not one"
	sh.env["DIBS_DRY_RUN"] = "" // counts as none
	file := sh.file("name,phone\nx,+12025550101\n")
	sh.want(exitUsage, "clients", "import", file)
	r := sh.want(exitOK, "clients", "import", file, "--region", "US")
	has(t, r.stdout, "1 added")
}

func TestInterrupted(t *testing.T) {
	sh := newShell(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"clients", "import", sh.file("name,phone\nx,+12025550101\n")},
		{"users", "add", "a@example.com", "--password-stdin"},
		{"migrate", "up"},
	} {
		if r := sh.runCtx(ctx, args...); r.code != exitInterrupted {
			t.Errorf("%v: exit code %d: %s", args, r.code, r.stderr)
		}
	}
}

func TestMigrate(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		first := sh.want(exitOK, "migrate", "up")
		has(t, first.stdout, "VERSION", "00001_")
		if strings.Contains(first.stdout, "pending") {
			t.Errorf("not applied: %s", first.stdout)
		}
		has(t, sh.want(exitOK, "migrate", "up").stdout, "up to date")
		has(t, sh.want(exitOK, "migrate", "status").stdout, "00001_")
	})
}

// TestFilesArePrivate: other people on the machine cannot read the store.
func TestFilesArePrivate(t *testing.T) {
	sh := newShell(t)
	sh.want(exitOK, "users", "add", "a@example.com", "--no-password")
	for _, name := range []string{"", "dibs.db"} {
		info, err := os.Stat(filepath.Join(sh.env["DIBS_DATA"], name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q: mode %v, %v", name, info.Mode(), err)
		}
	}
}
