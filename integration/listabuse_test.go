package integration

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestListsThatNobodyReads: people ask again and again for the largest page that there
// is, and read nothing of it. The server holds a few of these pages and refuses the
// others, and serves everybody else meanwhile.
func TestListsThatNobodyReads(t *testing.T) {
	const (
		people, each = 4, 12
		// Large answers, and what a connection and its small ones take.
		limit = flat + 128<<20 + 64<<20
	)
	d := onSQLite(t)
	d.MustRun(t, "migrate", "up")
	hostile := agents(people)
	for i := range hostile {
		hostile[i].password = password
	}
	importPeople(t, d, hostile...)
	d.MustRun(t, "clients", "import", csvFile(t, largeClients(1000)))
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	service := harness.NewClient(t, s.URL, serviceKey(t, d))
	users := service.Statuses(t, false)
	client := harness.Must(t, http.StatusOK)(service.Do(t.Context(), "GET", "/api/clients?limit=1", nil)).Clients[0].ID
	tokens := make([]string, people)
	for i, p := range hostile {
		body := map[string]string{"email": p.email, "password": password}
		tokens[i] = harness.Must(t, http.StatusOK)(service.Do(t.Context(), "POST", "/api/auth/login", body)).Token
	}

	// What it takes to be asked for the page once stays, in part: that is not held by anybody.
	whole := func() {
		r := harness.Must(t, http.StatusOK)(service.As(tokens[0]).Do(t.Context(), "GET", "/api/clients?limit=1000", nil))
		if len(r.Clients) != 1000 || r.TotalCount != 1000 || len(r.Clients[999].Notes) != largestText {
			t.Errorf("a page of %d clients of %d", len(r.Clients), r.TotalCount)
		}
	}
	memory := s.ResidentMemory()
	whole()
	served := metric(t, s, "dibs_http_request_duration_seconds_count")
	var conns []net.Conn
	for i := range people * each {
		conns = append(conns, neverReads(t, s.Addr, tokens[i%people], []string{"identity", "gzip"}[i/people%2]))
	}
	within := func() {
		if grown := s.ResidentMemory() - memory; grown > limit {
			t.Fatalf("the server holds %d MiB more", grown>>20)
		}
	}
	waitFor(t, time.Minute, "every list to be held or refused", func() bool {
		within()
		over := metric(t, s, "dibs_http_request_duration_seconds_count") - served
		return over > 0 && over+metric(t, s, "dibs_http_requests_in_flight") == people*each
	})
	if metric(t, s, "dibs_http_large_answers_bytes") == 0 {
		t.Error("no large answer is held")
	}

	start := harness.Change{Action: "start_call", ClientID: client.String(), UserID: users[0].ID.String()}
	harness.Must(t, http.StatusOK)(service.Put(t.Context(), start))
	for _, path := range []string{"/api/clients", "/api/clients?search=Client%200001", "/api/clients/" + client.String(),
		"/api/clients/" + client.String() + "/availability", "/api/call-logs", "/api/user-status"} {
		harness.Must(t, http.StatusOK)(service.Do(t.Context(), "GET", path, nil))
	}
	harness.Must(t, http.StatusOK)(service.As(tokens[1]).Do(t.Context(), "GET", "/api/clients?limit=1", nil))
	harness.Must(t, http.StatusOK)(service.Put(t.Context(), harness.Change{Action: "end_call", UserID: users[0].ID.String()}))
	within()

	for _, c := range conns {
		_ = c.Close()
	}
	waitFor(t, time.Minute, "the large answers to be given up", func() bool { return metric(t, s, "dibs_http_large_answers_bytes") == 0 })
	whole()
	mustNotPanic(t, s)
}

// largestText is how long notes may be.
const largestText = 16 << 10

// largeClients are clients with all the notes and attributes that they may have: what
// becomes six times as long where JSON is made safe for HTML, and what cannot be compressed.
func largeClients(n int) [][]string {
	source := rand.NewChaCha8([32]byte{})
	noise := make([]byte, largestText*3/4)
	rows := [][]string{{"Name", "Phone", "Notes", "Else"}}
	for i := range n {
		_, _ = source.Read(noise) // it does not fail
		attribute := base64.StdEncoding.EncodeToString(noise)[:largestText-len(`{"Else":""}`)]
		rows = append(rows, []string{fmt.Sprintf("Client %04d", i), fmt.Sprintf("+1201555%04d", i), strings.Repeat("<", largestText), attribute})
	}
	return rows
}

// neverReads asks for the largest page and reads nothing.
func neverReads(t *testing.T, addr, token, encoding string) net.Conn {
	t.Helper()
	conn := dial(t, addr)
	tcp := conn.(*net.TCPConn)
	must(t, tcp.SetReadBuffer(4<<10))
	must(t, tcp.SetLinger(0))
	_, err := io.WriteString(conn, "GET /api/clients?limit=1000 HTTP/1.1\r\nHost: dibs\r\nAuthorization: Bearer "+token+
		"\r\nAccept-Encoding: "+encoding+"\r\n\r\n")
	must(t, err)
	return conn
}
