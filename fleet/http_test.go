package fleet

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestOutcomesOverHTTP(t *testing.T) {
	const call = `{"call":{"id":"x","client_id":"c","token":7}}`
	for name, tc := range map[string]struct {
		status int
		body   string
		want   Answer
	}{
		"started":        {200, call, Answer{Outcome: Done, Call: "x", Token: 7}},
		"being called":   {409, `{"code":"client_being_called","caller":{"id":"u"}}`, Answer{Outcome: ClientBusy, Because: "u"}},
		"on a call":      {409, `{"code":"user_on_call","call":{"client_id":"c"}}`, Answer{Outcome: UserBusy, Because: "c"}},
		"overloaded":     {503, `{"code":"overloaded","error":"Busy."}`, Answer{Outcome: NotNow, Detail: "503 overloaded Busy.", Wait: 2 * time.Second}},
		"unknown":        {503, `{"code":"outcome_unknown"}`, Answer{Outcome: Unknown, Detail: "503 outcome_unknown"}},
		"forbidden":      {403, `{"code":"forbidden"}`, Answer{Outcome: Failed, Detail: "403 forbidden"}},
		"a proxy's page": {502, `<html>`, Answer{Outcome: Unknown, Detail: "502"}},
		"not JSON":       {200, `hello`, Answer{Outcome: Unknown, Detail: "an answer that is not JSON"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				const want = `{"action":"start_call","client_id":"c","user_id":"u","lease_seconds":60}`
				if r.Method != http.MethodPut || r.URL.Path != "/dibs/api/user-status" || string(body) != want || r.Header.Get("Authorization") != "Bearer key" {
					t.Errorf("%s %s %s", r.Method, r.URL, body)
				}
				if tc.status == http.StatusServiceUnavailable {
					w.Header().Set("Retry-After", "2")
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer s.Close()
			n, err := NewHTTP(s.URL+"/dibs/", "key", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			l := n.Link()
			defer l.Close()
			for range 3 { // on one connection
				if got := l.Start("u", "c", time.Minute); got != tc.want {
					t.Errorf("%+v, want %+v", got, tc.want)
				}
			}
		})
	}
}

// A lean link reads no more of a refusal than that it is one, and understands what
// is written in another way.
func TestLean(t *testing.T) {
	for body, want := range map[string]Answer{
		`{"error":"Busy.","code":"client_being_called","caller":{"id":"u"}}`: {Outcome: ClientBusy},
		`{"code": "client_being_called", "caller": {"id": "u"}}`:             {Outcome: ClientBusy, Because: "u"},
		`{"code":"user_on_call","call":{"client_id":"c"}}`:                   {Outcome: UserBusy, Because: "c"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, body)
		}))
		n, err := NewHTTP(s.URL, "", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		l := n.Lean().Link()
		if got := l.Start("u", "c", 0); got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
		l.Close()
		s.Close()
	}
}

func TestConnectionIsMadeAgain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		_, _ = io.WriteString(w, `{"users":[]}`)
	}))
	defer s.Close()
	n, err := NewHTTP(s.URL, "", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	l := n.Link()
	defer l.Close()
	for i, want := range []Outcome{Done, Done, Unknown, Done} {
		if i == 2 {
			s.CloseClientConnections()
		}
		if a := l.List(); a.Outcome != want {
			t.Errorf("request %d: %+v, want %s", i, a, want)
		}
	}
	s.Close()
	l.Close()
	if a := l.End("u", ""); a.Outcome != NotNow {
		t.Errorf("nobody listens, and the answer is %+v", a)
	}
}

func TestPlotIsAPicture(t *testing.T) {
	tally := newTally(&Plan{Agents: 1, Clients: 1, Time: time.Second})
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		tally.add(Seen{Verb: Start, Outcome: Done, Sent: 0, Got: d}, "")
	}
	var b bytes.Buffer
	if err := WritePlot(&b, tally, `<a> & "b"`); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b.Bytes(), []byte("<polyline")) {
		t.Error("there is no curve")
	}
	for d := xml.NewDecoder(&b); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
