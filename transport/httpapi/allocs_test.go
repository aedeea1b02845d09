package httpapi

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// The requests of which a fleet makes thousands a second keep to their budget of
// allocations, from the router to the last byte of the answer; the engine's and
// those of net/http are not counted. With room for the race detector, under which
// what is kept for the next request is thrown away now and then.
func TestAllocations(t *testing.T) {
	most := map[string]float64{"start": 8, "end": 7, "refused": 9, "availability": 10, "unchanged": 5}
	for _, hot := range hotRequests(t) {
		p := newReplay(hot.r, hot.body)
		got := testing.AllocsPerRun(200, func() { p.serve(hot.api) })
		if p.out.status != hot.status {
			t.Fatalf("%s: status %d", hot.name, p.out.status)
		}
		if got > most[hot.name] {
			t.Errorf("%s: %v allocations, at most %v: go test -run '^$' -bench Handler/%s -memprofile m -memprofilerate 1 says where",
				hot.name, got, most[hot.name], hot.name)
		}
	}
}

// What was read from one request stays when its memory is the next one's.
func TestRoomIsNotShared(t *testing.T) {
	w := newWorld(t)
	const n = 20
	notes := func(i int) string { return strings.Repeat(string(rune('a'+i)), 150) }
	ids := make([]string, n)
	for i := range n {
		w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200)
		end := m{"action": "end_call", "notes": notes(i)}
		if i%2 == 1 {
			end["another field"] = "which is read by encoding/json"
		}
		w.do("Ana", "PUT", statusPath, end).is(200)
		ids[i] = w.do("Ana", "POST", "/api/clients", m{"name": notes(i)[:20], "attributes": m{"note": notes(i)}}).is(201).str("client.id")
	}
	for i := range n {
		if got := w.engine.ended[i].Notes; got != notes(i) {
			t.Errorf("notes %d became %q", i, got)
		}
		w.do("Ana", "GET", "/api/clients/"+ids[i], nil).is(200).has("client.name", notes(i)[:20], "client.attributes.note", notes(i))
	}
}

// An answer says how long it is, whoever counts.
func TestAnswersSayTheirLength(t *testing.T) {
	w := newWorld(t)
	r := serve(t, w, Limits{})
	long := strings.Repeat("n", 16<<10)
	w.do("Ana", "PUT", "/api/clients/"+w.xenia.String(), m{"notes": long}).is(200)
	for _, tt := range []struct {
		method, path string
		long         bool
	}{
		{"GET", "/api/clients/" + w.xenia.String(), true},
		{"GET", "/api/clients/" + w.yuri.String() + "/availability", false},
		{"HEAD", "/api/clients/" + w.yuri.String() + "/availability", false},
		{"GET", "/nowhere", false},
	} {
		c := r.dial(t, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", tt.method, tt.path, w.token["Ana"]))
		got, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: tt.method})
		if err != nil {
			t.Fatal(err)
		}
		length, err := strconv.Atoi(got.Header.Get("Content-Length"))
		if err != nil || length == 0 || (length > len(long)) != tt.long || len(got.TransferEncoding) > 0 {
			t.Errorf("%s %s: Content-Length %q, %v", tt.method, tt.path, got.Header.Get("Content-Length"), got.TransferEncoding)
		}
		_ = got.Body.Close()
	}
}

// A histogram is asked for once a status, also for statuses that there are not.
func TestStatusesAreCounted(t *testing.T) {
	w := newWorld(t)
	rt := &route{method: "GET", pattern: "/somewhere"}
	w.api.prepare(rt)
	for _, status := range []int{200, 200, 599, 600, -1} {
		rt.seconds.of(status).Observe(1)
	}
	body := string(w.do("", "GET", "/metrics", nil).body)
	for code, want := range map[string]int{"200": 2, "599": 1, "600": 1, "-1": 1} {
		line := fmt.Sprintf(`dibs_http_request_duration_seconds_count{code=%q,method="GET",route="/somewhere"} %d`, code, want)
		if !strings.Contains(body, line) {
			t.Errorf("there is no %s", line)
		}
	}
}
