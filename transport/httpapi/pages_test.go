package httpapi

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// fill makes clients with long texts, some of which JSON writes six times as long.
func (w *world) fill(n int, notes, attribute string) {
	raw, err := json.Marshal(m{"a": attribute})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range n {
		id := messages.ClientID{UUID: uuid.New()}
		w.store.clients[id] = messages.Client{ID: id, Name: fmt.Sprintf("Client %04d", i), Notes: notes, Attributes: raw,
			CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	}
}

// Pages of every length say what the store says, plain and compressed.
func TestPagesAreWhole(t *testing.T) {
	for _, tt := range []struct {
		rows  int
		notes string
	}{
		{0, ""}, {1, "n"}, {3, "<&>\u2028\x01é"}, {120, strings.Repeat("n", 256)}, {1000, ""}, {1, strings.Repeat("\x01", maxNotes)},
		{40, strings.Repeat("<", maxNotes)}, {1000, strings.Repeat("<n\x01é", 60)},
	} {
		t.Run(fmt.Sprintf("%d rows, notes of %d bytes", tt.rows, len(tt.notes)), func(t *testing.T) {
			w := newWorld(t)
			w.spec = nil // it takes seconds for a thousand rows
			clear(w.store.clients)
			w.fill(tt.rows, tt.notes, "<a href=\"x\">")
			for range tt.rows {
				w.store.logs = append(w.store.logs, messages.CallLog{ID: messages.LogID{UUID: newID()}, UserID: w.ana.ID, Notes: tt.notes})
			}
			for path, name := range map[string]string{"/api/clients": "clients", "/api/call-logs": "callLogs"} {
				var want any
				rows := reflect.ValueOf(w.listed(name))
				unmarshal(t, mustMarshal(t, m{name: rows.Interface(), "totalCount": tt.rows, "page": 1, "limit": 1000, "totalPages": min(1, tt.rows)}), &want)
				plain := w.do("Ana", "GET", path+"?limit=1000", nil).is(200)
				packed := w.do("Ana", "GET", path+"?limit=1000", nil, "Accept-Encoding", "gzip").is(200)
				if plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%s: a plain answer with header %v", path, plain.header)
				}
				if zipped := packed.header.Get("Content-Encoding") == "gzip"; zipped != (len(plain.body) >= leastPacked) || packed.header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%s: %d bytes with header %v", path, len(plain.body), packed.header)
				} else if zipped {
					packed.body = unzip(t, packed.body)
				}
				for _, got := range []reply{plain, packed} {
					var said any
					if unmarshal(t, got.body, &said); !reflect.DeepEqual(said, want) {
						t.Errorf("%s: %.300s", path, got.body)
					}
				}
			}
			if held := w.api.larder.holding(); held != 0 || len(w.api.larder.callers) != 0 {
				t.Errorf("%d bytes are still held", held)
			}
		})
	}
}

// listed is what the store lists.
func (w *world) listed(name string) any {
	if name == "clients" {
		rows, _, _ := w.store.ListClients(w.t.Context(), messages.ClientQuery{Page: 1, Limit: 1000})
		return append([]messages.Client{}, rows...)
	}
	rows, _, _ := w.store.ListLogs(w.t.Context(), messages.LogQuery{Page: 1, Limit: 1000})
	return append([]messages.CallLog{}, rows...)
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unmarshal(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%v: %.300s", err, b)
	}
}

func unzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Who asks for large pages and does not read them holds no more than their share; they
// and others go on being given what is small, and others what is large.
func TestPagesThatNobodyReads(t *testing.T) {
	for _, encoding := range []string{"identity", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			w := newWorld(t)
			w.spec = nil
			noise := func(n int) string {
				var b strings.Builder
				for b.Len() < n {
					b.WriteString(uuid.NewString())
				}
				return b.String()[:n]
			}
			w.fill(1000, noise(maxNotes), noise(messages.MaxAttributes-100))
			r := serve(t, w, Limits{})
			const each = 40 << 20 // one page, and not two
			w.api.larder.each, w.api.larder.all = each, 2*each
			large, small := "/api/clients?limit=1000", "/api/clients?limit=1"
			var conns []net.Conn
			for i := range 5 {
				c := r.dial(t, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\nAuthorization: Bearer %s\r\n\r\n", large, encoding, w.token["Ana"]))
				conns = append(conns, c)
				if i == 0 {
					waitFor(t, func() bool { return w.api.larder.holding() > 30<<20 && w.api.Admission.InFlight() == 1 })
				}
			}
			waitFor(t, func() bool { return w.api.Admission.InFlight() == 1 }) // the others were refused
			w.do("Ana", "GET", large, nil).is(429, messages.CodeRateLimited)
			w.do("Ana", "GET", small, nil).is(200)
			w.do("Ben", "GET", large, nil).is(200).has("totalCount", 1003)
			w.api.larder.all = each
			w.do("Ben", "GET", large, nil).is(503, messages.CodeOverloaded)
			w.do("Ben", "GET", "/api/clients?limit=200", nil).is(503, messages.CodeOverloaded)
			w.do("Ben", "GET", "/api/clients?limit=10", nil).is(200) // counted, but of the part for those who hold little
			w.do("Ben", "GET", small, nil).is(200)
			if held := w.api.larder.holding(); held > each {
				t.Errorf("%d bytes are held", held)
			}
			for _, c := range conns {
				_ = c.Close()
			}
			waitFor(t, func() bool { return w.api.larder.holding() == 0 && w.api.Admission.InFlight() == 0 })
			w.do("Ana", "GET", large, nil).is(200).has("totalCount", 1003)
		})
	}
}

// One caller has a bounded number of lists at a time, and leaves the others theirs.
func TestListsOfOneCaller(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	w.do("Ben", "GET", "/api/auth/verify", nil).is(200)
	w.store.hold = make(chan struct{})
	var all sync.WaitGroup
	for range maxLists {
		all.Go(func() { w.do("Ana", "GET", "/api/clients", nil).want(200) })
	}
	waitFor(t, func() bool { return w.api.Admission.InFlight() == maxLists })
	w.do("Ana", "GET", "/api/call-logs", nil).is(429, messages.CodeRateLimited)
	all.Go(func() { w.do("Ben", "GET", "/api/clients", nil).want(200) })
	waitFor(t, func() bool { return w.api.Admission.InFlight() == maxLists+1 })
	close(w.store.hold)
	all.Wait()
	w.do("Ana", "GET", "/api/call-logs", nil).is(200)
}

// One client may be a large answer too.
func TestLargeClientIsCounted(t *testing.T) {
	w := newWorld(t)
	c := w.store.clients[w.xenia]
	c.Notes = strings.Repeat("\x01", maxNotes)
	w.store.clients[w.xenia] = c
	w.do("Ana", "GET", "/api/clients/"+w.xenia.String(), nil).is(200)
	w.api.larder.all = 0
	w.do("Ana", "GET", "/api/clients/"+w.xenia.String(), nil).is(503, messages.CodeOverloaded)
	w.do("Ana", "GET", "/api/clients/"+w.yuri.String(), nil).is(200)
	if held := w.api.larder.holding(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// The longest client that there may be comes to no more than was counted beforehand; who
// cannot be answered is refused before anything is done.
func TestSavedClientsAreCounted(t *testing.T) {
	w := newWorld(t)
	c := w.store.clients[w.xenia]
	c.Name, c.Phone = strings.Repeat("\x01", messages.MaxName), strings.Repeat("\x01", maxPhone)
	c.Notes, c.Attributes = strings.Repeat("\x01", maxNotes), mustMarshal(t, m{"a": strings.Repeat("n", messages.MaxAttributes-10)})
	w.store.clients[w.xenia] = c
	path := "/api/clients/" + w.xenia.String()
	email := strings.Repeat("x", messages.MaxEmail-5) + "@b.cd"
	if got := w.do("Ana", "PUT", path, m{"email": email}).is(200); len(got.body) < maxNotes*6 || len(got.body) > longestClient {
		t.Errorf("an answer of %d bytes", len(got.body))
	}
	for _, refuse := range []func(){func() { w.api.saved.each = longestClient - 1 }, func() { w.api.saved.all = longestClient - 1 }} {
		w.api.saved = newSaved()
		refuse()
		for _, status := range []int{w.do("Ana", "PUT", path, m{"email": "new@example.com"}).status, w.do("Ana", "POST", "/api/clients", m{"name": "New"}).status} {
			if status != 429 && status != 503 {
				t.Errorf("status %d", status)
			}
		}
		if len(w.store.clients) != 3 || w.store.clients[w.xenia].Email != email {
			t.Error("something was done")
		}
	}
	w.api.saved = newSaved()
	w.api.larder.all = 0 // readers do not keep people from saving
	w.do("Ana", "POST", "/api/clients", m{"name": "New <3"}).is(201).has("client.name", "New <3")
	if held := w.api.saved.holding(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// A page that cannot be written to its end does not look like a whole one.
func TestBrokenPage(t *testing.T) {
	w := newWorld(t)
	w.spec = nil
	w.fill(1000, "notes", "a")
	c := w.store.clients[w.zoe]
	c.Attributes = json.RawMessage("{") // no store keeps that
	w.store.clients[w.zoe] = c
	w.do("Ana", "GET", "/api/clients?search=zoe", nil).is(500, messages.CodeInternal) // nothing was sent
	r := serve(t, w, Limits{})
	request, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/clients?limit=1000&page=2", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token["Ana"])
	if got, err := r.Do(request); err != nil || got.StatusCode != 500 {
		t.Errorf("%v, %v", got, err)
	} else {
		_ = got.Body.Close()
	}
	c.Name = "Client 0999a" // on the first page, behind what fits into the window
	w.store.clients[w.zoe] = c
	delete(w.store.clients, w.xenia)
	delete(w.store.clients, w.yuri)
	for id, other := range w.store.clients {
		if other.Name == "Client 0000" {
			delete(w.store.clients, id)
		}
	}
	request.URL.RawQuery = "limit=1000"
	got, err := r.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if all, err := io.ReadAll(got.Body); err == nil {
		t.Errorf("status %d, %d bytes that end well", got.StatusCode, len(all))
	}
	waitFor(t, func() bool { return w.api.larder.holding() == 0 && w.api.Admission.InFlight() == 0 })
	if !strings.Contains(w.logs.String(), "encoding a row") {
		t.Error("nothing was logged")
	}
}

// BenchmarkPage is a page of a list as it usually is.
func BenchmarkPage(b *testing.B) {
	for _, n := range []int{50, 1000} {
		for _, encoding := range []string{"identity", "gzip"} {
			b.Run(fmt.Sprintf("%d/%s", n, encoding), func(b *testing.B) {
				w := newWorld(b, func(c *Config) { c.Log = discardLog(); c.Now = time.Now })
				w.fill(n, "They would rather be called in the afternoon.", "Berlin")
				rows, total, err := w.store.ListClients(b.Context(), messages.ClientQuery{Page: 1, Limit: n})
				if err != nil {
					b.Fatal(err)
				}
				w.api.Store = fixedRows{w.store, rows, total}
				p := newReplay(w.request("Ana", "GET", fmt.Sprintf("/api/clients?limit=%d", n), nil, "Accept-Encoding", encoding), "")
				b.ReportAllocs()
				for b.Loop() {
					p.serve(w.api)
				}
				if p.out.status != 200 {
					b.Fatalf("status %d", p.out.status)
				}
			})
		}
	}
}

// fixedRows is a store that has a page ready.
type fixedRows struct {
	Store
	rows  []messages.Client
	total int
}

func (f fixedRows) ListClients(context.Context, messages.ClientQuery) ([]messages.Client, int, error) {
	return f.rows, f.total, nil
}
