package pgtest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// ownServer makes this binary start a server and wait to be killed.
const ownServer = "DIBS_PGTEST_OWN_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(ownServer) != "" {
		s, err := New(Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, s.dir, s.cmd.Process.Pid)
		select {}
	}
	goleak.VerifyTestMain(Runner{M: m})
}

func answers(t *testing.T, url string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	return conn.Close(t.Context())
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestServerControl(t *testing.T) {
	s, err := New(Options{Durable: true, Settings: map[string]string{"max_connections": "17"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	url := s.URL("postgres")
	for name, stop := range map[string]func() error{
		"fast": func() error { return s.Stop(Fast) }, "immediate": func() error { return s.Stop(Immediate) }, "kill": s.Kill,
	} {
		for range 2 { // the second time there is nothing to stop
			if err := stop(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if answers(t, url) == nil {
			t.Errorf("%s: it still answers", name)
		}
		if err := s.Start(); err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		if err := answers(t, url); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var fsync, conns string
	err = conn.QueryRow(t.Context(), `SELECT current_setting('fsync'), current_setting('max_connections')`).Scan(&fsync, &conns)
	if err != nil || fsync != "on" || conns != "17" {
		t.Errorf("%v: fsync %q, max_connections %q", err, fsync, conns)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", s.dir, err)
	}
}

func TestPausedServerCanBeKilled(t *testing.T) {
	s := StartServer(t, Options{})
	conn, err := pgx.Connect(t.Context(), s.URL("postgres")) // a process more to stop
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	pid := s.cmd.Process.Pid
	children, err := childrenOf(pid)
	if err != nil || len(children) < 2 {
		t.Fatalf("children %v: %v", children, err)
	}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every process to end", func() bool {
		for _, pid := range append(children, pid) {
			if alive(pid) {
				return false
			}
		}
		return true
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
}

// alive reports whether a process runs; one that waits for its parent to look
// after it does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(text), ") Z ")
}

// A test binary that is killed leaves neither a server nor a folder.
func TestNothingIsLeftOfAKilledProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownServer+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	killErr := cmd.Process.Kill()
	_ = cmd.Wait()
	dir, pidText, found := strings.Cut(strings.TrimSpace(line), " ")
	if readErr != nil || killErr != nil || !found {
		t.Fatalf("%v, %v: %q", readErr, killErr, line)
	}
	pid, err := strconv.Atoi(pidText)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server to end", func() bool { return !alive(pid) })
	eventually(t, "the folder to go", func() bool { _, err := os.Stat(dir); return errors.Is(err, os.ErrNotExist) })
}

func TestDatabasesAreApart(t *testing.T) {
	one, two := URL(t), URL(t)
	conn, err := pgx.Connect(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `INSERT INTO clients (name) VALUES ('Ana')`); err != nil {
		t.Fatal(err)
	}
	other, err := pgx.Connect(t.Context(), two)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(t.Context()) }()
	var n int
	if err := other.QueryRow(t.Context(), `SELECT count(*) FROM clients`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%v, %d clients", err, n)
	}
}
