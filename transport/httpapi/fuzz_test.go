package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// Whatever is sent: no panic, no 5xx, and a refusal has a sentence and a code.
// The fakes fail on what a database would fail on.

func fuzzWorld(f *testing.F) *world {
	w := newWorld(f, func(c *Config) { c.Log = discardLog() })
	w.spec = nil
	w.ready = nil
	return w
}

func (w *world) mustCope(t *testing.T, r *http.Request) {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.api.ServeHTTP(recorder, r)
	out := reply{t, recorder.Code, recorder.Header(), recorder.Body.Bytes()}
	if out.status >= 500 {
		t.Errorf("%s %s: %d %s", r.Method, r.URL, out.status, out.body)
	}
	if out.status >= 400 {
		out.checkError()
	}
}

func FuzzStatusBody(f *testing.F) {
	id := uuid.NewString()
	for _, s := range []string{``, `{}`, `null`, `[]`, `{"action":"start_call","client_id":"` + id + `","lease_seconds":60}`,
		`{"action":"end_call","call_id":"` + id + `","token":1,"notes":"x\u0000","disposition":"sale"}`,
		`{"action":"renew_call","call_id":"` + id + `","token":9223372036854775807}`, `{"action":"end_call"} x`,
		`{"action":"end_call","user_id":"` + id + `"}`, "\xff", `{"action":1e999}`, strings.Repeat("[", 20000)} {
		f.Add([]byte(s), "key")
	}
	w := fuzzWorld(f)
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		for _, who := range []string{"Ana", "Adele", "Dialer"} {
			w.mustCope(t, w.request(who, "PUT", statusPath, body))
		}
		w.mustCope(t, w.request("Ana", "PUT", statusPath, body, "Idempotency-Key", key))
		clear(w.engine.answers)
		w.engine.started, w.engine.ended = nil, nil
	})
}

func FuzzClientBody(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"name":"x"}`, `{"name":"x","phone":"(650) 253-0000","email":"a@b","notes":"n","attributes":{"a":[1,null,true,"x",{}]}}`,
		`{"name":"\ud800","attributes":{"\ud800":"\udc00"}}`, `{"name":"x","attributes":{"a":1e-999999}}`, `{"name":"x","attributes":{"":0e400}}`,
		`{"name":"x","phone":"+1 650 253 0000;ext=5"}`, `{"name":"x","phone":"tel:+1-650;phone-context=+44"}`} {
		f.Add([]byte(s))
	}
	w := fuzzWorld(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		w.mustCope(t, w.request("Ana", "POST", "/api/clients", body))
		w.mustCope(t, w.request("Ana", "PUT", "/api/clients/"+w.xenia.String(), body))
		w.mustCope(t, w.request("Ana", "GET", "/api/clients/"+w.xenia.String(), nil))
		if len(w.store.clients) > 100 {
			for id := range w.store.clients {
				if id != w.xenia {
					delete(w.store.clients, id)
				}
			}
		}
	})
}

func FuzzLogBody(f *testing.F) {
	w := fuzzWorld(f)
	id := w.xenia.String()
	for _, s := range []string{``, `{}`, `{"client_id":"` + id + `","call_type":"outbound","call_status":"completed","call_duration":5,` +
		`"notes":"n","callback_requested":true,"callback_time":"2026-01-01T00:00:00Z","call_started_at":"9999-12-31T23:59:59-23:59","call_ended_at":null}`,
		`{"client_id":"` + id + `","call_type":"inbound","call_status":"busy","call_started_at":"0000-01-01T00:00:00+23:59"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// The id of a fuzzing process is not that of the seed's; bring it home.
		body = []byte(strings.ReplaceAll(string(body), id, w.xenia.String()))
		w.mustCope(t, w.request("Ana", "POST", "/api/call-logs", body))
		w.mustCope(t, w.request("Dialer", "POST", "/api/call-logs", body))
		w.mustCope(t, w.request("Adele", "GET", "/api/call-logs", nil))
		w.store.logs = nil
	})
}

func FuzzLoginBody(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"email":"ana@example.com","password":"demo-password"}`, `{"email":"\u0000","password":"x"}`,
		`{"email":"ANA@EXAMPLE.COM","password":"\ud800"}`, `{"email":"a","password":"` + strings.Repeat("x", 3000) + `"}`} {
		f.Add([]byte(s), "192.0.2.1:1", "203.0.113.7, x")
	}
	w := newWorld(f, func(c *Config) { c.Log, c.BehindProxy = discardLog(), true })
	f.Fuzz(func(t *testing.T, body []byte, remote, forwarded string) {
		r := w.request("", "POST", "/api/auth/login", body, "X-Forwarded-For", forwarded)
		r.RemoteAddr = remote
		w.mustCope(t, r)
		w.clock.advance(time.Minute)
	})
}

func FuzzReason(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"reason":"went home"}`, `{"reason":"\u0000"}`, `{"reason":7}`} {
		f.Add([]byte(s), uuid.NewString())
	}
	w := fuzzWorld(f)
	f.Fuzz(func(t *testing.T, body []byte, id string) {
		w.mustCope(t, w.request("Adele", "DELETE", "/api/user-status/"+w.ben.ID.String()+"/call", body))
		r := w.request("Adele", "DELETE", "/x", body)
		r.URL.Path, r.URL.RawPath = "/api/user-status/"+id+"/call", ""
		w.mustCope(t, r)
		w.engine.ended, w.store.audits = nil, nil
	})
}

// FuzzQuery tries addresses: path, and the part after the question mark.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "page=1&limit=50&search=x", "page=99999999999999999999&limit=1000", "search=%00%ff",
		"on_call=true", "clientId=x&userId=y&status=busy", "older_than=90m", "older_than=1e300h", "older_than=7200", "%", ";", "page=2&page=x"} {
		f.Add("/api/clients/"+uuid.NewString(), s)
	}
	w := fuzzWorld(f)
	f.Fuzz(func(t *testing.T, path, query string) {
		for _, known := range []string{"/api/clients", "/api/call-logs", statusPath} {
			r := w.request("Adele", "GET", known, nil)
			r.URL.RawQuery = query
			w.mustCope(t, r)
		}
		for _, method := range []string{"GET", "POST"} {
			r := w.request("Adele", method, statusPath, nil)
			r.URL.Path, r.URL.RawQuery = path, query
			w.mustCope(t, r)
		}
		r := w.request("Adele", "POST", statusPath, nil)
		r.URL.RawQuery = query
		w.mustCope(t, r)
	})
}

// FuzzHeader tries those headers that are read.
func FuzzHeader(f *testing.F) {
	f.Add("Bearer x", "dibs_session=x", "https://evil.example", "cross-site", `"tag"`, "gzip")
	f.Add("", "", "null", "none", `W/"a", *`, "gzip;q=0, *;q=1")
	w := fuzzWorld(f)
	f.Fuzz(func(t *testing.T, authorization, cookie, origin, site, match, encoding string) {
		header := []string{"Cookie", cookie, "Origin", origin, "Sec-Fetch-Site", site, "If-None-Match", match, "Accept-Encoding", encoding}
		w.mustCope(t, w.request("Ana", "GET", statusPath, nil, header...))
		r := w.request("", "PUT", statusPath, `{"action":"end_call"}`, header...)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w.mustCope(t, r)
		w.engine.ended = nil
	})
}

func FuzzAttributes(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":{"b":[1e300,-0,"\u0000"]}}`, `[]`, `{"a":0.1e-5}`, `{"a":"\ud800\udc00"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once, err := attributes(raw)
		if err != nil {
			return
		}
		if err := keepableClient(messages.Client{Attributes: once}); err != nil {
			t.Errorf("%q became %q: %v", raw, once, err)
		}
		if twice, err := attributes(once); err != nil || string(twice) != string(once) {
			t.Errorf("%q became %q and then %q: %v", raw, once, twice, err)
		}
	})
}

func FuzzPhone(f *testing.F) {
	for _, s := range []string{"", "650 253 0000", "+442070313000", "4711", "+1 650 253 0000 ext. 5", "００１", "tel:1;ext=2", "+", "1-800-FLOWERS"} {
		f.Add(s)
	}
	w := fuzzWorld(f)
	f.Fuzz(func(t *testing.T, s string) {
		once, err := w.api.phone(s)
		if err != nil {
			return
		}
		if twice, err := w.api.phone(once); err != nil || twice != once {
			t.Errorf("%q became %q and then %q: %v", s, once, twice, err)
		}
	})
}
