package live

import (
	"encoding/json"
	"slices"
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

// frame is one message to readers before it is encoded. There is one for each change of a
// call, so the queue holds the event itself, and nothing is allocated for it.
type frame struct {
	seq   uint64
	name  string
	event messages.Event
	data  any // instead of the event; nil: the event
}

type staleNotice struct {
	Stale bool `json:"stale"`
}

// appendFrame encodes a frame for text/event-stream. JSON has no line breaks,
// so the data is one line. A heartbeat begins with a comment as well, for
// readers that take no notice of events they do not know.
func appendFrame(out []byte, epoch string, f *frame) []byte {
	whole, err := appendData(appendHead(out, epoch, f.seq, f.name), f)
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
func appendData(out []byte, f *frame) ([]byte, error) {
	switch data := f.data.(type) {
	case nil:
		return eventjson.Append(out, &f.event)
	case messages.Snapshot:
		return eventjson.AppendSnapshot(out, &data)
	}
	b, err := json.Marshal(f.data)
	return append(out, b...), err
}

// encode makes c what is in the queue, which is not empty. The memory of what c was before
// is used again.
func (c *chunk) encode(epoch string, queue []frame) {
	c.first, c.last = queue[0].seq, queue[len(queue)-1].seq
	c.bytes, c.ends = slices.Grow(c.bytes[:0], frameSize*len(queue)), c.ends[:0]
	for i := range queue {
		c.bytes = appendFrame(c.bytes, epoch, &queue[i])
		c.ends = append(c.ends, len(c.bytes))
	}
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
