package check

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is dibs, built once for all tests.
var binary struct { //nolint:gochecknoglobals // tests have nobody to hand it to them
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

func dibsBinary(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "dibs-check-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "dibs")
		build := exec.Command("go", "build", "-buildvcs=false", "-o", binary.path, "./cmd/dibs")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			binary.err = errors.New(string(out))
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// startWithoutDatabase runs dibs with settings that are right and a database
// that is not there. It must come so far that it says so: wrong settings end it
// with another code. Addresses become loopback, because those of an example are
// not this machine's, and folders temporary ones.
func startWithoutDatabase(t *testing.T, args []string, env map[string]string) {
	t.Helper()
	const exitUnavailable = 4
	help, err := exec.Command(dibsBinary(t), "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, dibsBinary(t), args...)
	cmd.Dir = t.TempDir()
	for name, value := range env {
		setting, ours := strings.CutPrefix(name, "DIBS_")
		if flag := "--" + strings.ReplaceAll(strings.ToLower(setting), "_", "-") + " "; ours && !strings.Contains(string(help), flag) {
			t.Errorf("%s: dibs serve has no flag %s", name, flag)
		}
		cmd.Env = append(cmd.Env, name+"="+local(value))
	}
	for i, a := range cmd.Args[1:] {
		cmd.Args[i+1] = local(a)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUnavailable {
		t.Errorf("dibs %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func local(setting string) string {
	switch {
	case strings.Contains(setting, "://"): // nobody listens there
		return "postgres://dibs:password@127.0.0.1:1/dibs?sslmode=disable&connect_timeout=1"
	case strings.HasPrefix(setting, "--data="):
		return "--data=data"
	}
	return regexp.MustCompile(`(^|=)(:|[0-9.]+:)(8080|6222)$`).ReplaceAllString(setting, "${1}127.0.0.1:0")
}

func goList(args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	return string(out), err
}
