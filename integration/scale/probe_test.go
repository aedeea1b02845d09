package scale

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

// answer is what came of a request.
type answer struct {
	took  time.Duration
	bytes int // of the body, as it travels
	tag   string
	body  []byte
}

// get asks and reads the answer, which must have the status.
func (d *deployment) get(t *testing.T, client *http.Client, status int, path string, header http.Header) answer {
	t.Helper()
	begin := time.Now()
	resp, err := client.Do(d.request(t, path, header))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("GET %s: %s, %v, %.300s", path, resp.Status, err, body)
	}
	return answer{time.Since(begin), len(body), resp.Header.Get("Etag"), body}
}

// newClient keeps a connection and leaves compressed answers as they are.
func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// often is the median of some times, and the longest.
func often(n int, f func() time.Duration) (median, longest time.Duration) {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = f()
	}
	slices.Sort(times)
	return times[n/2], times[n-1]
}

// snapshot reads the live events until the snapshot is complete.
func (d *deployment) snapshot(t *testing.T, client *http.Client) answer {
	t.Helper()
	begin := time.Now()
	resp, err := client.Do(d.request(t, "/api/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReaderSize(resp.Body, 1<<20)
	a := answer{}
	named := false
	for {
		line, err := lines.ReadBytes('\n')
		a.bytes += len(line)
		switch {
		case err != nil:
			t.Fatalf("the live events ended: %v after %d bytes", err, a.bytes)
		case bytes.HasPrefix(line, []byte("event: snapshot")):
			named = true
		case named && bytes.HasPrefix(line, []byte("data: ")):
			a.took, a.body = time.Since(begin), line[len("data: "):]
			return a
		}
	}
}

// metric reads one metric of the server without labels.
func (d *deployment) metric(t *testing.T, client *http.Client, name string) float64 {
	t.Helper()
	a := d.get(t, client, http.StatusOK, "/metrics", nil)
	var v float64
	for line := range bytes.Lines(a.body) {
		if n, _ := fmt.Sscanf(string(line), name+" %g", &v); n == 1 {
			return v
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
