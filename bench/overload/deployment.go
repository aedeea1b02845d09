package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// deployment is a dibs with people and clients, as an operator sets one up: by
// its own commands.
type deployment struct {
	dir, bin string
	env      []string
	server   *exec.Cmd
	ended    chan struct{}
	url, key string
	users    []string // ids
	clients  []string
}

// build compiles the program that people run.
func build(ctx context.Context, root, dir string) (string, error) {
	bin := filepath.Join(dir, "dibs")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", bin, "./cmd/dibs")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

const clients = 20_000

// deploy fills a store and starts a server on it. databaseURL is of Postgres;
// empty: SQLite.
func deploy(ctx context.Context, bin, dir, databaseURL string, o options) (d *deployment, err error) {
	d = &deployment{dir: dir, bin: bin, env: []string{"DIBS_DATA=" + dir, fmt.Sprintf("DIBS_ADMISSION_LIMIT=%d", o.limit)}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return d, err
	}
	if databaseURL != "" {
		d.env = append(d.env, "DIBS_DATABASE_URL="+databaseURL)
	}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "DIBS_") {
			d.env = append(d.env, kv)
		}
	}
	d.env = append(d.env, o.env...)
	if err := d.importCSV(ctx, "users", "email,first_name,last_name,role", max(o.agents, o.crowd)+1, func(i int) []string {
		return []string{fmt.Sprintf("agent%d@example.com", i), "Agent", fmt.Sprint(i), "user"}
	}); err != nil {
		return d, err
	}
	if err := d.importCSV(ctx, "clients", "name,phone", clients, func(i int) []string {
		return []string{fmt.Sprintf("Client %d", i), fmt.Sprintf("+1201%07d", 2_000_000+i)}
	}); err != nil {
		return d, err
	}
	key, err := d.run(ctx, "token", "create", "--role", "service", "--name", "overload")
	if err != nil {
		return d, err
	}
	d.key = strings.TrimSpace(key)
	if err := d.serve(); err != nil {
		return d, err
	}
	return d, d.readIDs(ctx)
}

func (d *deployment) importCSV(ctx context.Context, what, header string, n int, row func(int) []string) error {
	path := filepath.Join(d.dir, what+".csv")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	_ = w.Write(strings.Split(header, ",")) // Flush says whether it worked
	for i := range n {
		_ = w.Write(row(i))
	}
	w.Flush()
	if err := errors.Join(w.Error(), f.Close()); err != nil {
		return err
	}
	_, err = d.run(ctx, what, "import", path)
	return err
}

func (d *deployment) run(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, d.bin, args...)
	cmd.Env, cmd.Stderr = d.env, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("dibs %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

// serve starts the server and waits until it listens.
func (d *deployment) serve() error {
	log, err := os.Create(filepath.Join(d.dir, "server.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	d.server = exec.Command(d.bin, "serve", "--listen", "127.0.0.1:0", "--log-level", "warn")
	d.server.Env, d.server.Stderr = d.env, log
	d.server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := d.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.server.Start(); err != nil {
		return err
	}
	d.ended = make(chan struct{})
	listens := make(chan string, 1)
	go func() {
		defer close(d.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var url string
			if _, err := fmt.Sscanf(lines.Text(), "dibs listens on %s", &url); err == nil {
				listens <- url
			}
		}
		_ = d.server.Wait() // its log says why it ended
	}()
	select {
	case d.url = <-listens:
		return nil
	case <-d.ended:
	case <-time.After(time.Minute):
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("dibs does not serve:\n%s", text)
}

func (d *deployment) stop() error {
	if d.ended == nil {
		return nil
	}
	_ = d.server.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-d.ended:
		return nil
	case <-time.After(20 * time.Second):
		_ = d.server.Process.Kill()
		<-d.ended
		return errors.New("dibs did not stop")
	}
}

// readIDs asks the server whom there is.
func (d *deployment) readIDs(ctx context.Context) error {
	type named struct{ ID, Email string }
	var people struct{ Users []named }
	if err := d.get(ctx, "/api/user-status", &people); err != nil {
		return err
	}
	for _, u := range people.Users {
		if strings.HasPrefix(u.Email, "agent") {
			d.users = append(d.users, u.ID)
		}
	}
	for page := 1; ; page++ {
		var list struct {
			Clients    []named
			TotalPages int
		}
		if err := d.get(ctx, fmt.Sprintf("/api/clients?limit=200&page=%d", page), &list); err != nil {
			return err
		}
		for _, c := range list.Clients {
			d.clients = append(d.clients, c.ID)
		}
		if page >= list.TotalPages {
			return nil
		}
	}
}

func (d *deployment) get(ctx context.Context, path string, into any) error {
	req, err := d.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s %s", path, resp.Status, text)
	}
	return json.Unmarshal(text, into)
}

func (d *deployment) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Authorization", "Bearer "+d.key)
	}
	return req, err
}

// resident is how much memory the server holds, in bytes; 0: not told.
func (d *deployment) resident() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.server.Process.Pid))
	for line := range bytes.Lines(text) {
		var kib int64
		if n, _ := fmt.Sscanf(string(line), "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
