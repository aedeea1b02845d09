package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/dibs-calls/dibs/messages"
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
	body   []byte
	status int // what was answered; 0: nothing yet
}

// respond answers with v as JSON.
func (x *exchange) respond(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return internal("encoding the answer: %w", err)
	}
	x.write(status, b)
	return nil
}

// write answers with JSON that is encoded already.
func (x *exchange) write(status int, b []byte) {
	h := x.w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
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
