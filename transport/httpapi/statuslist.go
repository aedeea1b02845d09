package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// listStatuses answers who is on a call with whom. Pages ask every half
// minute, mostly to hear that nothing changed; then only the ETag travels.
func (a *API) listStatuses(_ context.Context, x *exchange) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	onCall, err := flag("on_call", q.Get("on_call"))
	if err != nil {
		return err
	}
	if lines := x.r.Header["If-None-Match"]; len(lines) > 0 {
		tag, err := a.Statuses.StatusTag(onCall)
		if err != nil {
			return err
		}
		if x.unchanged(lines, tag) {
			return nil
		}
	}
	zipped := acceptsGzip(x.r.Header.Values("Accept-Encoding"))
	body, tag, err := a.Statuses.StatusBody(onCall, zipped)
	if err != nil {
		return err
	}
	h := x.w.Header()
	revalidate(h)
	if zipped {
		tag += gzipSuffix
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Etag", `"`+tag+`"`)
	x.write(http.StatusOK, body)
	return nil
}

// storeStatuses is the list read from the store each time.
type storeStatuses struct {
	from    Statuses
	timeout time.Duration
}

// StatusTag implements [StatusList].
func (s storeStatuses) StatusTag(onCall bool) (string, error) {
	_, tag, err := s.StatusBody(onCall, false)
	return tag, err
}

// StatusBody implements [StatusList].
func (s storeStatuses) StatusBody(onCall, zipped bool) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	users, err := s.from.UserStatuses(ctx, onCall)
	if err != nil {
		return nil, "", asRead(err)
	}
	if users == nil {
		users = []messages.UserStatus{}
	}
	body, err := json.Marshal(struct {
		Users []messages.UserStatus `json:"users"`
		Stale bool                  `json:"stale"` // what was read just now is not
	}{Users: users})
	tag := tagOf(body)
	if err == nil && zipped {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write(body) // into memory
		err, body = w.Close(), out.Bytes()
	}
	return body, tag, err
}

// gzipSuffix marks the ETag of a compressed answer.
const gzipSuffix = "-gzip"

func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

func (x *exchange) writeTagged(body []byte, tag string) {
	if x.unchanged(x.r.Header.Values("If-None-Match"), tag) {
		return
	}
	h := x.w.Header()
	h.Set("Cache-Control", "private, no-cache") // the compressing wrapper adds Vary
	h.Set("Etag", `"`+tag+`"`)
	x.write(http.StatusOK, body)
}

// unchanged answers that the caller has what tag names, if that is so.
func (x *exchange) unchanged(ifNoneMatch []string, tag string) bool {
	had, same := matching(ifNoneMatch, tag)
	if !same {
		return false
	}
	h := x.w.Header()
	revalidate(h)
	h["Etag"] = []string{had}
	x.writeHeader(http.StatusNotModified)
	return true
}

// revalidate lets a caller keep an answer, but ask each time.
func revalidate(h http.Header) {
	h["Cache-Control"] = privateNoCache
	h["Vary"] = acceptEncoding
}

// These are shared by all answers, and never written to.
//
//nolint:gochecknoglobals // see above
var (
	privateNoCache = []string{"private, no-cache"}
	acceptEncoding = []string{"Accept-Encoding"}
)

// matching finds tag in the If-None-Match lines, and says how the caller
// spelled it: as plain or as compressed. "W/" does not matter here (RFC 9110,
// section 13.1.2).
func matching(lines []string, tag string) (had string, same bool) {
	for _, line := range lines {
		for entry := range strings.SplitSeq(line, ",") {
			entry = strings.TrimPrefix(strings.TrimSpace(entry), "W/")
			if entry == "*" {
				return `"` + tag + `"`, true
			}
			rest, quoted := strings.CutPrefix(entry, `"`)
			rest, found := strings.CutPrefix(rest, tag)
			if quoted && found && (rest == `"` || rest == gzipSuffix+`"`) {
				return entry, true
			}
		}
	}
	return "", false
}

// acceptsGzip reports whether the caller takes gzip (RFC 9110, section 12.5.3).
// Nobody who does not ask for it gets it.
func acceptsGzip(lines []string) bool {
	accepted := false
	for _, line := range lines {
		for entry := range strings.SplitSeq(line, ",") {
			coding, parameter, _ := strings.Cut(entry, ";")
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return !isZero(parameter) // named, it counts more than *
			case "*":
				accepted = !isZero(parameter)
			}
		}
	}
	return accepted
}

// isZero reports whether a parameter is a weight of zero: "q=0", "q=0.000".
func isZero(parameter string) bool {
	name, value, _ := strings.Cut(parameter, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return false
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && weight == 0
}
