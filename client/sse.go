package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	// silence is how long a stream may say nothing: the server sends something
	// every 15 seconds.
	silence = 40 * time.Second
	// maxLine bounds a line: a snapshot is one, with all calls in progress.
	maxLine = 256 << 20
)

// watch follows GET /api/events.
func (t *httpTransport) watch(ctx context.Context, after string, ready func(position string) bool, take func(Event) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	req, err := t.request(ctx, http.MethodGet, "/api/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := t.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came of it
		return refusal(resp, body)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		return &Error{Code: CodeNotFound, Sentence: fmt.Sprintf("The server answers live events with %q.", kind)}
	}
	if !ready("") { // a snapshot says where
		return errEnough
	}
	err = readFrames(resp.Body, func() { quiet.Reset(silence) }, func(f frame) bool {
		event, ok := f.event()
		return !ok || take(event)
	})
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // streams end only by being cut off
	}
	return lost(err)
}

// frame is one event of text/event-stream.
type frame struct {
	id, name string
	data     []byte
}

// event is what the frame says; false: nothing that this package knows.
func (f frame) event() (Event, bool) {
	kind := EventType(f.name)
	switch kind {
	case CallStarted, CallEnded, CallChanged, Snapshot, Stale:
	default:
		return Event{}, false
	}
	var data eventData
	if json.Unmarshal(f.data, &data) != nil {
		return Event{}, false
	}
	return data.event(kind, f.id), true
}

// readFrames reads text/event-stream as the HTML standard has it (section
// "Interpreting an event stream"), but for a carriage return alone as the end of
// a line, which our server does not send. It ends with an error: io.EOF, or
// errEnough when take wants no more.
func readFrames(r io.Reader, alive func(), take func(frame) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var f frame
	for lines.Scan() {
		alive()
		line := lines.Bytes()
		if len(line) == 0 { // the end of a frame
			if f.data != nil && !take(f) {
				return errEnough
			}
			f = frame{id: f.id} // the last id stays
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) { // a line that begins with a colon is a comment
		case "id":
			f.id = string(value)
		case "event":
			f.name = string(value)
		case "data":
			if f.data != nil {
				f.data = append(f.data, '\n')
			}
			f.data = append(f.data, value...)
			if f.data == nil {
				f.data = []byte{}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}
