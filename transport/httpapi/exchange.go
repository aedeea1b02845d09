package httpapi

import (
	"net/http"
	"strconv"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
	"github.com/google/uuid"
)

// exchange is one request and its answer. It belongs to the goroutine that
// serves the request.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	route  *route
	who    *messages.Principal // nil on open routes; shared with the cache: read only
	digest [32]byte            // of the token that who came with
	body   []byte              // gone when the request is
	change *wire.Change        // of calls: what body says, and gone with it; nil on other routes
	rooms  *rooms
	room   *room // nil: none was needed yet
	status int   // what was answered; 0: nothing yet

	helping *helping // what the answer holds of the larder; nil: nothing that counts

	patience patience // of routes with a timeout
}

// memory is what this request may use until it is over.
func (x *exchange) memory() *room {
	if x.room == nil {
		x.room = x.rooms.enter()
	}
	return x.room
}

// respond answers with v as JSON.
func (x *exchange) respond(status int, v any) error {
	mine := x.memory()
	b, err := wire.AppendJSON(mine.answer[:0], v)
	if err != nil {
		return internal("encoding the answer: %w", err)
	}
	mine.answer = b
	x.write(status, b)
	return nil
}

// shortAnswer is how long an answer may be for net/http to say its length by itself,
// at less cost: it sees the end of those that fit into a buffer of 2048 bytes.
const shortAnswer = 1024

// write answers with JSON that is encoded already.
func (x *exchange) write(status int, b []byte) {
	h := x.w.Header()
	h["Content-Type"] = jsonType
	if len(b) > shortAnswer {
		h["Content-Length"] = []string{strconv.Itoa(len(b))}
	}
	x.writeHeader(status)
	_, _ = x.w.Write(b) // an error means that nobody is listening any more
}

func (x *exchange) writeHeader(status int) {
	x.status = status
	x.w.WriteHeader(status)
}

// jsonType is shared by all answers, and never written to: a header map that
// holds it saves an allocation on each.
var jsonType = []string{"application/json; charset=utf-8"} //nolint:gochecknoglobals // never written to

// pathID reads the id in the address. The one that is all zeros means "none"
// inside; nothing has it, which unknown says.
func (x *exchange) pathID(name string, unknown messages.Code) (uuid.UUID, error) {
	id, err := messages.ParseID(x.r.PathValue(name))
	switch {
	case err != nil:
		return id, badRequest("The id in the address is not a UUID.")
	case id == uuid.Nil:
		return id, &problem{Code: unknown}
	}
	return id, nil
}
