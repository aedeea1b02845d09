package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestReadmeCluster does what the README says about three nodes on one machine:
// the program behind "make cluster" starts them, the blocks are run, with a node
// killed in between, and Ctrl-C leaves nothing behind.
func TestReadmeCluster(t *testing.T) {
	threenodes, err := harness.Build(t.Context(), "..", "./integration/threenodes", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// Postgres runs as another user, who must come through to its folder.
	temp, err := os.MkdirTemp("", "dibs-threenodes-") //nolint:usetesting // TempDir is for its owner alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	if err := os.Chmod(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(threenodes, tools.dibs)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "DIBS_DATABASE_URL=")
	said := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := sync.OnceValue(func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			return fmt.Errorf("it is still running")
		}
	})
	t.Cleanup(func() { _ = stop() })
	waitFor(t, 2*time.Minute, "three nodes", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("it ended: %v\n%s", err, said)
		default:
		}
		return strings.Contains(said.String(), "Ctrl-C stops everything")
	})

	var usual, here []string
	for i, m := range regexp.MustCompile(`(?m)^  [abc]  http://(\S+)`).FindAllStringSubmatch(said.String(), -1) {
		usual, here = append(usual, fmt.Sprintf("127.0.0.1:%d", 8081+i)), append(here, m[1])
	}
	kill := regexp.MustCompile(`kill -9 (\d+)`).FindStringSubmatch(said.String())
	if len(here) != 3 || kill == nil {
		t.Fatalf("it said\n%s", said)
	}
	walk(t, usual, here, kill[1])

	if err := stop(); err != nil {
		t.Errorf("after Ctrl-C: %v\n%s", err, said)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v behind (%v)", left, err)
	}
	for _, address := range here {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			t.Errorf("somebody still listens on %s", address)
		}
	}
}

// walk runs the README's blocks about a cluster in one shell, kills a node after
// the first, and holds what they print to the lines behind "# →".
func walk(t *testing.T, usual, here []string, pid string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh cluster\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	if n, err := strconv.Atoi(pid); err != nil || syscall.Kill(n, 0) != nil {
		t.Fatalf("there is no process %s", pid)
	}
	script := blocks[0][1] + "kill -9 " + pid + "\n" + blocks[1][1]
	for i := range usual {
		script = strings.ReplaceAll(script, usual[i], here[i])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the README's walk-through of a cluster: %v\n%s\n%s", err, out, stderr.String())
	}
	rest := string(out)
	promises := regexp.MustCompile(`(?m)^# → (.*)$`).FindAllStringSubmatch(script, -1)
	if len(promises) < 7 {
		t.Fatalf("%d promises", len(promises))
	}
	for _, p := range promises {
		_, after, found := strings.Cut(rest, p[1])
		if !found {
			t.Fatalf("the README promises\n\t%s\nand the nodes said\n%s", p[1], out)
		}
		rest = after
	}
}

// lockedBuffer collects what a program says while a test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
