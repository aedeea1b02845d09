package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/go-chi/chi/v5"
)

// BenchmarkStart is what this package adds to a start, next to what an empty
// chi handler costs. The engine refuses at once.
func BenchmarkStart(b *testing.B) {
	w := newWorld(b, func(c *Config) { c.Log = discardLog() })
	w.engine.says = messages.CodeClientBeingCalled
	empty := chi.NewRouter()
	empty.Put(statusPath, func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.WriteHeader(http.StatusOK)
	})
	body := `{"action":"start_call","client_id":"` + w.xenia.String() + `"}`
	for name, h := range map[string]http.Handler{"empty": empty, "dibs": w.api} {
		b.Run(name, func(b *testing.B) {
			request := w.request("Ana", "PUT", statusPath, nil)
			b.ReportAllocs()
			for b.Loop() {
				r := *request
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
				h.ServeHTTP(httptest.NewRecorder(), &r)
			}
		})
	}
}
