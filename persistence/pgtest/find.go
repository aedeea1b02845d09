package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// errNoPostgres says what a machine lacks.
var errNoPostgres = errors.New("no Postgres server program found: install Postgres 15 or later " +
	"(Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), " +
	"or name a running server in DIBS_TEST_DATABASE_URL")

// findBinaries returns the folder that holds postgres and initdb.
func findBinaries() (string, error) {
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		// The link in PATH may not have the other programs beside it.
		if real, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) }) // the newest first
	for _, dir := range append(dirs, found...) {
		if isProgram(dir, "postgres") && isProgram(dir, "initdb") {
			return dir, nil
		}
	}
	return "", errNoPostgres
}

func version(bin string) int {
	v, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return v
}

func isProgram(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// credential is the user that a server runs as.
type credential struct{ uid, gid int }

// unprivileged returns whom Postgres is to run as: nil where this process is
// good enough, because Postgres refuses root alone.
func unprivileged() (*credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &credential{uid, gid}, nil
		}
	}
	return nil, errors.New("running as root, and there is neither a user postgres nor nobody to run Postgres as")
}

func (c *credential) own(paths ...string) error {
	if c == nil {
		return nil
	}
	for _, p := range paths {
		if err := os.Chown(p, c.uid, c.gid); err != nil {
			return err
		}
	}
	return nil
}

func (c *credential) apply(attr *syscall.SysProcAttr) {
	if c != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.gid)}
	}
}
