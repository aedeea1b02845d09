package live

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dibs-calls/dibs/internal/eventjson"
	"github.com/dibs-calls/dibs/messages"
)

// Names of frames besides the types of events.
const (
	frameSnapshot = "snapshot"
	frameChanged  = "call.changed" // a call goes on; its user or its client is called otherwise
	frameStale    = "stale"
	framePing     = "ping"
)

// frame is one message to readers before it is encoded.
type frame struct {
	seq  uint64
	name string
	data any
}

type staleNotice struct {
	Stale bool `json:"stale"`
}

// appendFrame encodes a frame for text/event-stream. JSON has no line breaks,
// so the data is one line. A heartbeat begins with a comment as well, for
// readers that take no notice of events they do not know.
func appendFrame(out []byte, epoch string, f frame) []byte {
	whole, err := appendData(appendHead(out, epoch, f.seq, f.name), f.data)
	if err != nil {
		// Only a time beyond the year 9999 can do it. The frame keeps its
		// number and tells nobody anything; the next snapshot does.
		whole = append(appendHead(out, epoch, f.seq, framePing), "{}"...)
	}
	return append(whole, "\n\n"...)
}

func appendHead(out []byte, epoch string, seq uint64, name string) []byte {
	if name == framePing {
		out = append(out, ": ping\n"...)
	}
	out = append(out, "id: "...)
	out = append(out, epoch...)
	out = append(out, ':')
	out = strconv.AppendUint(out, seq, 10)
	out = append(out, "\nevent: "...)
	out = append(out, name...)
	return append(out, "\ndata: "...)
}

// appendData encodes without reflection what there is much of.
func appendData(out []byte, data any) ([]byte, error) {
	switch data := data.(type) {
	case *messages.Event:
		return eventjson.Append(out, data)
	case messages.Snapshot:
		return eventjson.AppendSnapshot(out, &data)
	}
	b, err := json.Marshal(data)
	return append(out, b...), err
}

// encode is nil for an empty queue.
func encode(epoch string, queue []frame) *chunk {
	if len(queue) == 0 {
		return nil
	}
	c := &chunk{first: queue[0].seq, last: queue[len(queue)-1].seq, ends: make([]int, len(queue))}
	c.bytes = make([]byte, 0, 1024*len(queue))
	for i, f := range queue {
		c.bytes = appendFrame(c.bytes, epoch, f)
		c.ends[i] = len(c.bytes)
	}
	return c
}

// parseID reads the id of a frame. What anybody may send is read strictly.
func parseID(epoch, id string) (seq uint64, ok bool) {
	number, ok := strings.CutPrefix(id, epoch+":")
	if !ok || len(number) > 20 {
		return 0, false
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	return seq, err == nil
}
