package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/dibs-calls/dibs/messages"
)

type statusesAnswer struct {
	Users []messages.UserStatus `json:"users"`
}

// listStatuses answers who is on a call with whom. Pages ask every half
// minute, mostly to hear that nothing changed; then only the ETag travels.
func (a *API) listStatuses(ctx context.Context, x *exchange) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	onCall, err := flag("on_call", q.Get("on_call"))
	if err != nil {
		return err
	}
	users, err := a.Statuses.UserStatuses(ctx, onCall)
	if err != nil {
		return err
	}
	if users == nil {
		users = []messages.UserStatus{}
	}
	return x.respondTagged(statusesAnswer{users})
}

// gzipSuffix marks the ETag of a compressed answer.
const gzipSuffix = "-gzip"

// respondTagged answers with v and its ETag, or that it is the same as the one
// that the caller has.
func (x *exchange) respondTagged(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return internal("encoding the answer: %w", err)
	}
	x.writeTagged(body, tagOf(body))
	return nil
}

func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

func (x *exchange) writeTagged(body []byte, tag string) {
	h := x.w.Header()
	h.Set("Cache-Control", "private, no-cache") // keep it, but ask each time
	if had, same := matching(x.r.Header.Values("If-None-Match"), tag); same {
		h.Set("Etag", had)
		h.Set("Vary", "Accept-Encoding")
		x.writeHeader(http.StatusNotModified)
		return
	}
	h.Set("Etag", `"`+tag+`"`)
	x.write(http.StatusOK, body)
}

// matching finds tag in the If-None-Match lines, and says how the caller
// spelled it: as plain or as compressed. "W/" does not matter here (RFC 9110,
// section 13.1.2).
func matching(lines []string, tag string) (had string, same bool) {
	for _, line := range lines {
		for entry := range strings.SplitSeq(line, ",") {
			entry = strings.TrimPrefix(strings.TrimSpace(entry), "W/")
			switch entry {
			case "*", `"` + tag + `"`:
				return `"` + tag + `"`, true
			case `"` + tag + gzipSuffix + `"`:
				return entry, true
			}
		}
	}
	return "", false
}
