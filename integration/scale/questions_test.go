package scale

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// unit is what a figure counts.
type unit uint8

const (
	millis unit = iota
	seconds
	mebibytes
	bytesEach
	perSecond
)

// figure is something that was measured of one deployment.
type figure struct {
	what  string
	value float64
	unit  unit
	limit float64 // what it must not exceed at full size; 0: nothing was promised
}

// figures are those of one deployment, in the order of the table.
type figures []figure

func (f *figures) add(u unit, limit float64, what string, value float64) {
	*f = append(*f, figure{what, value, u, limit})
}

func (f *figures) time(limit, took time.Duration, what string) {
	f.add(millis, limit.Seconds()*1e3, what, took.Seconds()*1e3)
}

const (
	pageLimit   = 200 * time.Millisecond
	searchLimit = 500 * time.Millisecond
	startLimit  = 5 * time.Second
	memoryLimit = 600 << 20
)

// ask measures what a deployment takes, from a restart on.
func (d *deployment) ask(t *testing.T) figures {
	var f figures
	client := newClient(t)
	f.add(seconds, 0, "import of the clients (`dibs clients import`)", d.importing[0].Seconds())
	f.add(seconds, 0, "import of the users", d.importing[1].Seconds())
	f.add(perSecond, 0, "starts of the calls in progress, 64 connections", float64(d.size.calls)/d.starting.Seconds())
	f.add(seconds, startLimit.Seconds(), "ready after kill -9", d.restart(t).Seconds())
	f.add(mebibytes, memoryLimit, "resident when ready", float64(d.server.ResidentMemory()))
	d.askStatus(t, client, &f)
	d.askClients(t, client, &f)
	f.add(mebibytes, memoryLimit, "resident after these questions", float64(d.server.ResidentMemory()))
	return f
}

// askStatus asks who is on a call with whom.
func (d *deployment) askStatus(t *testing.T, client *http.Client, f *figures) {
	t.Helper()
	zipped := http.Header{"Accept-Encoding": {"gzip"}}
	const path = "/api/user-status"
	first := d.get(t, client, http.StatusOK, path, zipped)
	f.time(0, first.took, "`GET /api/user-status`, the first after the start")
	f.add(mebibytes, 0, "— its size, gzip", float64(first.bytes))
	plain := d.get(t, client, http.StatusOK, path, nil)
	f.add(mebibytes, 0, "— its size as JSON", float64(plain.bytes))
	took, _ := often(9, func() time.Duration {
		return d.get(t, client, http.StatusNotModified, path, http.Header{"If-None-Match": {first.tag}}).took
	})
	f.time(pageLimit, took, "— nothing changed (ETag)")
	took, _ = often(9, func() time.Duration {
		d.toggle(t)
		return d.get(t, client, http.StatusOK, path, zipped).took
	})
	f.time(0, took, "— after a change")
	took, _ = often(9, func() time.Duration {
		d.toggle(t)
		return d.get(t, client, http.StatusOK, path+"?on_call=true", zipped).took
	})
	f.time(0, took, "— after a change, those on a call")
	var snapshot answer
	took, _ = often(3, func() time.Duration {
		<-time.After(1100 * time.Millisecond) // one that is younger than a second is given again
		d.toggle(t)
		snapshot = d.snapshot(t, client)
		return snapshot.took
	})
	f.time(0, took, "snapshot of the live events")
	f.add(mebibytes, 0, "— its size", float64(snapshot.bytes))
	d.wantCalls(t, snapshot.body)
}

// toggle changes the list of users: somebody starts a call and ends it.
func (d *deployment) toggle(t *testing.T) {
	t.Helper()
	link := d.network(t).Link()
	defer link.Close()
	user, other := d.users[len(d.users)-1], d.clients[len(d.clients)-1]
	if a := link.Start(user, other, 0); a.Call == "" {
		t.Fatalf("starting a call: %s %s", a.Outcome, a.Detail)
	} else {
		link.End(user, a.Call)
	}
}

func (d *deployment) wantCalls(t *testing.T, snapshot []byte) {
	t.Helper()
	var s struct{ Calls []json.RawMessage }
	if err := json.Unmarshal(bytes.TrimSpace(snapshot), &s); err != nil || len(s.Calls) != d.size.calls {
		t.Errorf("a snapshot of %d calls (%v), want %d", len(s.Calls), err, d.size.calls)
	}
}

// askClients lists and searches.
func (d *deployment) askClients(t *testing.T, client *http.Client, f *figures) {
	t.Helper()
	pages := d.size.clients / 50
	for _, q := range []struct {
		what, query string
		limit       time.Duration
	}{
		{"clients, the first page", "page=1", pageLimit},
		{"clients, a page in the middle", fmt.Sprintf("page=%d", pages/2), pageLimit},
		{"clients, the last page", fmt.Sprintf("page=%d", pages), pageLimit},
	} {
		took, found := d.list(t, client, q.query)
		if found != d.size.clients {
			t.Errorf("%s: %d of them, want %d", q.what, found, d.size.clients)
		}
		f.time(q.limit, took, q.what)
	}
	first, last := personName(d.size.clients / 2)
	for _, q := range []struct{ what, term string }{
		{"search: a whole name", first + " " + last},
		{"search: a part of a name", strings.ToLower(last)},
		{"search: what a tenth of all have", "bar"},
		{"search: two letters", "ja"},
		{"search: one letter, which nearly all have", "a"},
		{"search: a phone number as people write it", fmt.Sprintf("+49 30 %08d", 10_000_000+d.size.clients/2)},
		{"search: the end of a phone number", fmt.Sprintf("%06d", 10_000_000+d.size.clients/2)[2:]},
		{"search: nothing is found", "qqzzqq"},
	} {
		took, found := d.list(t, client, "search="+url.QueryEscape(q.term))
		f.time(searchLimit, took, q.what)
		t.Logf("%s: %q finds %d", q.what, q.term, found)
	}
	took, _ := often(9, func() time.Duration {
		return d.get(t, client, http.StatusOK, "/api/clients/"+d.clients[0]+"/availability", nil).took
	})
	f.time(0, took, "availability of a client")
}

// list asks for a page of clients.
func (d *deployment) list(t *testing.T, client *http.Client, query string) (took time.Duration, found int) {
	t.Helper()
	took, _ = often(5, func() time.Duration {
		a := d.get(t, client, http.StatusOK, "/api/clients?"+query, nil)
		var page harness.Reply
		if err := json.Unmarshal(a.body, &page); err != nil {
			t.Fatal(err)
		}
		found = page.TotalCount
		return a.took
	})
	return took, found
}
