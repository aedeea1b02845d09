package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/internal/heap"
)

// flat is how much more memory hostile input may make the server hold: garbage that is
// not collected yet, and some that was and has not been given back.
const flat = 96<<20 + heap.GarbageBytes

// TestHugeBody sends bodies of 1 GiB. The server answers before it has read
// them, and holds none of it.
func TestHugeBody(t *testing.T) {
	d := onSQLite(t)
	connect := newDialer(t, d, 1, 1)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team := connect(s)
	key := serviceKey(t, d)
	const gib = 1 << 30
	before := s.ResidentMemory()
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"with its length", fmt.Sprintf("PUT /api/user-status HTTP/1.1\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n", key, gib), 413},
		{"in chunks", fmt.Sprintf("PUT /api/user-status HTTP/1.1\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n", key), 413},
		{"sign-in", fmt.Sprintf("POST /api/auth/login HTTP/1.1\r\nContent-Length: %d\r\n", gib), 413},
		{"without a token", fmt.Sprintf("POST /api/clients HTTP/1.1\r\nContent-Length: %d\r\n", gib), 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := stream(t, s.Addr, tt.request, gib)
			if status != tt.want {
				t.Errorf("status %d, want %d: %s", status, tt.want, body)
			}
			isProblem(t, body)
		})
	}
	if grown := s.ResidentMemory() - before; grown > flat {
		t.Errorf("the server holds %d MiB more than before", grown>>20)
	}
	harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
}

// stream sends a request with a body of size bytes, as far as the server takes
// it, and returns the answer.
func stream(t *testing.T, addr, request string, size int64) (int, []byte) {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, request+"Host: dibs\r\nContent-Type: application/json\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		chunk := bytes.Repeat([]byte(" "), 64<<10)
		if strings.Contains(request, "chunked") {
			chunk = fmt.Appendf(nil, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		for n := int64(0); n < size; n += int64(len(chunk)) {
			if _, err := conn.Write(chunk); err != nil {
				return // the server has heard enough
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer to a body of %d bytes: %v", size, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	<-sent
	return resp.StatusCode, body
}

// dial connects; what it returns ends within a minute.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// isProblem checks that an answer has a sentence and a code, as every refusal
// has.
func isProblem(t *testing.T, body []byte) {
	t.Helper()
	var p struct{ Error, Code string }
	if err := json.Unmarshal(body, &p); err != nil || p.Error == "" || p.Code == "" {
		t.Errorf("a refusal without a sentence or a code: %.300q", body)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestGarbage sends what no front-end should. All of it is the sender's fault
// (4xx, with a sentence and a code), nothing of it leaves a call behind.
func TestGarbage(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		connect := newDialer(t, d, 2, 2)
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		team := connect(s)
		key := serviceKey(t, d)
		user, client, nobody := team.users[0].String(), team.clients[0].String(), uuid.NewString()
		for _, tt := range []struct {
			method, path, body string
			want               int
		}{
			{"PUT", "/api/user-status", ``, 400},
			{"PUT", "/api/user-status", `{`, 400},
			{"PUT", "/api/user-status", `null`, 400},
			{"PUT", "/api/user-status", `[]`, 400},
			{"PUT", "/api/user-status", "\xff\xfe{\x00}\x00", 400},
			{"PUT", "/api/user-status", strings.Repeat(`{"a":`, 10_000), 400},
			{"PUT", "/api/user-status", strings.Repeat(`[`, 60<<10), 400},
			{"PUT", "/api/user-status", `{"action":"fly"}`, 400},
			{"PUT", "/api/user-status", `{"action":7}`, 400},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + user + `"}`, 400},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + user + `","client_id":"1"}`, 400},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + user + `","client_id":` + "{}" + `}`, 400},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + user + `","client_id":"` + client + `"} {}`, 400},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + user + `","client_id":"` + client + `","lease_seconds":-1}`, 400},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + user + `","client_id":"` + client + `","lease_seconds":1e300}`, 400},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + user + `","client_id":"` + nobody + `"}`, 404},
			{"PUT", "/api/user-status", `{"action":"start_call","user_id":"` + nobody + `","client_id":"` + client + `"}`, 404},
			{"PUT", "/api/user-status", `{"action":"renew_call","user_id":"` + user + `","call_id":"` + nobody + `","token":1}`, 409},
			{"PUT", "/api/user-status", `{"action":"end_call","user_id":"` + user + `","notes":"` + strings.Repeat("x", 70<<10) + `"}`, 413},
			{"PUT", "/api/user-status", `{"action":"end_call","user_id":"` + user + `","call_id":"x"}`, 400},
			{"POST", "/api/user-status", ``, 403},
			{"PATCH", "/api/user-status", `{}`, 405},
			{"DELETE", "/api/user-status/" + user + "/call", `{}`, 403},
			{"GET", "/api/clients/1/availability", ``, 400},
			{"GET", "/api/clients/" + nobody + "/availability", ``, 404},
			{"GET", "/api/clients?page=0", ``, 400},
			{"GET", "/api/clients?limit=abc", ``, 400},
			{"GET", "/api/clients?limit=99999999999999999999", ``, 400},
			{"GET", "/api/nothing/%00/../here", ``, 404},
			{"POST", "/api/call-logs", `{"client_id":"` + client + `","call_type":"smoke signal"}`, 400},
			{"POST", "/api/auth/login", `{"email":7}`, 400},
			{"POST", "/api/auth/login", `{"email":"nobody@example.com","password":"x"}`, 401},
		} {
			status, body := request(t, s.URL, key, tt.method, tt.path, tt.body)
			if status != tt.want {
				t.Errorf("%s %s %.120q: status %d, want %d: %.200s", tt.method, tt.path, tt.body, status, tt.want, body)
			}
			isProblem(t, body)
		}
		for _, token := range []string{"x", key + "x", strings.Repeat("a", 10_000), "\x7f"} {
			if status, _ := request(t, s.URL, token, "GET", "/api/user-status", ""); status < 400 || status > 499 {
				t.Errorf("with a token of %d bytes that nobody has: status %d", len(token), status)
			}
		}
		rawGarbage(t, s.Addr)
		if onCall := team.Statuses(t, true); len(onCall) != 0 {
			t.Errorf("garbage left %d calls behind", len(onCall))
		}
		if out := s.Stderr() + s.Stdout(); strings.Contains(out, "panic") {
			t.Error("the server's log speaks of a panic")
		}
	})
}

func request(t *testing.T, url, token, method, path, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = "//" + req.URL.Host + path // as it is, not cleaned up
	req.Header.Set("Authorization", "Bearer "+token)
	// A request that says that the connection will be closed may be cut off while it is
	// still being sent: net/http does not drain such a body.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		if strings.Contains(err.Error(), "invalid header") { // the client itself refuses to send it
			return http.StatusBadRequest, nil
		}
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// rawGarbage sends bytes that are not HTTP: each connection is refused with a
// 4xx or closed.
func rawGarbage(t *testing.T, addr string) {
	t.Helper()
	for _, bytes := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // the beginning of TLS
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"PUT /api/user-status HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"PUT /api/user-status HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 2<<20) + "\r\n\r\n",
		strings.Repeat("\x00", 100_000),
	} {
		conn := dial(t, addr)
		_, _ = io.WriteString(conn, bytes) // the server may have closed already
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		answer, err := io.ReadAll(conn)
		if isTimeout(err) {
			t.Errorf("%.40q: neither answered nor closed", bytes)
		}
		if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 4") && !strings.HasPrefix(string(answer), "HTTP/1.1 505") {
			t.Errorf("%.40q is answered with %.80q", bytes, answer)
		}
	}
}
