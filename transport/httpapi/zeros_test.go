package httpapi

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// The id that is all zeros means "none" inside. Outside it is one that nobody
// has.
func TestIDOfAllZeros(t *testing.T) {
	w := newWorld(t)
	zeros := uuid.Nil.String()
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		w.do("Adele", method, "/api/clients/"+zeros, map[string]string{"name": "X"}).is(404, messages.CodeClientNotFound)
	}
	w.do("Ana", "GET", "/api/clients/"+zeros+"/availability", nil).is(404, messages.CodeClientNotFound)
	w.do("Adele", "DELETE", statusPath+"/"+zeros+"/call", map[string]string{"reason": "test"}).is(404, messages.CodeUserNotFound)
	got := w.do("Ana", "PUT", statusPath, map[string]string{"action": "start_call", "client_id": zeros}).is(400, messages.CodeBadRequest)
	if said, _ := got.at("error").(string); !strings.Contains(said, "client_id must not be all zeros") {
		t.Errorf("it says %q", said)
	}
}
