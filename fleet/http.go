package fleet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// idleMost is how long a connection may lie unused before it is made anew:
// servers and proxies close idle ones, and a request that meets one closing has
// an unknown outcome.
const idleMost = 20 * time.Second

// clientBusy is how dibs writes the refusal of which a load asks for thousands a
// second. However else it is written, it is understood as well, for a few microseconds
// that would be the generator's and not the server's.
var clientBusy = []byte(`"code":"client_being_called"`) //nolint:gochecknoglobals // never written to

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// HTTP is a server over HTTP/1.1, with a connection for each link.
//
// It writes requests itself instead of using [http.Client]: that one takes two
// goroutines and some twenty microseconds for each request, so on one machine it
// would measure itself. Answers are read by net/http.
type HTTP struct {
	address string // host:port
	host    string
	prefix  string // of paths
	tls     *tls.Config
	token   string
	timeout time.Duration
	lean    bool
}

// NewHTTP returns the server at base, such as https://dibs.example.com. token is
// sent with each request, which may take timeout.
func NewHTTP(base, token string, timeout time.Duration) (*HTTP, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the address of a server: give one such as https://dibs.example.com", base)
	}
	if strings.ContainsAny(token, "\r\n") {
		return nil, fmt.Errorf("the API key has a line break in it")
	}
	h := &HTTP{host: u.Host, prefix: strings.TrimRight(u.EscapedPath(), "/"), token: token, timeout: timeout}
	port := u.Port()
	if u.Scheme == "https" {
		h.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		port = orElse(port, "443")
	}
	h.address = net.JoinHostPort(u.Hostname(), orElse(port, "80"))
	return h, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Lean makes links read of an answer only whether it was a yes or a no: call and
// token are not told. It is for comparing servers on a machine that the load
// shares with them.
func (h *HTTP) Lean() *HTTP {
	lean := *h
	lean.lean = true
	return &lean
}

// Link implements [Network]. It connects with the first request.
func (h *HTTP) Link() Link { return &httpLink{to: h} }

// httpLink is a connection that is made again when it is lost.
type httpLink struct {
	to      *HTTP
	conn    net.Conn // nil: none
	in      *bufio.Reader
	out     []byte // the request, reused
	body    []byte // its body, reused
	answer  bytes.Buffer
	tag     string    // ETag of the last list
	last    time.Time // when it was used
	request http.Request
}

// Start implements [Link].
func (l *httpLink) Start(user, client string, lease time.Duration) Answer {
	l.say(`{"action":"start_call","client_id":"`, client, `","user_id":"`, user, `"`)
	if lease > 0 {
		l.say(`,"lease_seconds":`)
		l.body = strconv.AppendInt(l.body, int64(lease/time.Second), 10)
	}
	l.say(`}`)
	return l.put()
}

// End implements [Link].
func (l *httpLink) End(user, call string) Answer {
	l.say(`{"action":"end_call","user_id":"`, user)
	if call != "" {
		l.say(`","call_id":"`, call)
	}
	l.say(`"}`)
	return l.put()
}

// say adds to the body. Ids are what the server gave, and need no escaping.
func (l *httpLink) say(parts ...string) {
	for _, p := range parts {
		l.body = append(l.body, p...)
	}
}

func (l *httpLink) put() Answer {
	defer func() { l.body = l.body[:0] }()
	return l.ask(http.MethodPut, "/api/user-status", "", l.body)
}

// Look implements [Link].
func (l *httpLink) Look(client string) Answer {
	return l.ask(http.MethodGet, "/api/clients/"+url.PathEscape(client)+"/availability", "", nil)
}

// List implements [Link]. It asks as a page does that has the list already.
func (l *httpLink) List() Answer {
	return l.ask(http.MethodGet, "/api/user-status", l.tag, nil)
}

// Close implements [Link].
func (l *httpLink) Close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}

// ask sends one request, once.
func (l *httpLink) ask(method, path, tag string, body []byte) Answer {
	if err := l.connect(); err != nil {
		return Answer{Outcome: NotNow, Detail: "no connection: " + err.Error()}
	}
	now := time.Now()
	l.last = now
	l.render(method, path, tag, body)
	err := l.conn.SetDeadline(now.Add(l.to.timeout))
	if err == nil {
		_, err = l.conn.Write(l.out)
	}
	if err != nil {
		l.Close()
		return Answer{Outcome: Unknown, Detail: err.Error()}
	}
	l.request.Method = method // it says whether an answer has a body
	resp, err := http.ReadResponse(l.in, &l.request)
	if err != nil {
		l.Close()
		return Answer{Outcome: Unknown, Detail: "no answer: " + err.Error()}
	}
	return l.read(resp)
}

// render writes the request into l.out.
func (l *httpLink) render(method, path, tag string, body []byte) {
	l.out = l.out[:0]
	write := func(parts ...string) {
		for _, p := range parts {
			l.out = append(l.out, p...)
		}
	}
	write(method, " ", l.to.prefix, path, " HTTP/1.1\r\nHost: ", l.to.host, "\r\nAuthorization: Bearer ", l.to.token)
	if tag != "" {
		write("\r\nIf-None-Match: ", tag)
	}
	if body != nil {
		write("\r\nContent-Type: application/json\r\nContent-Length: ")
		l.out = strconv.AppendInt(l.out, int64(len(body)), 10)
	}
	write("\r\n\r\n")
	l.out = append(l.out, body...)
}

// connect makes sure that there is a connection that was used lately.
func (l *httpLink) connect() (err error) {
	if l.conn != nil && time.Since(l.last) > idleMost {
		l.Close()
	}
	if l.conn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.to.timeout)
	defer cancel()
	var d net.Dialer
	if l.to.tls == nil {
		l.conn, err = d.DialContext(ctx, "tcp", l.to.address)
	} else {
		l.conn, err = (&tls.Dialer{NetDialer: &d, Config: l.to.tls}).DialContext(ctx, "tcp", l.to.address)
	}
	if err != nil {
		l.conn = nil
		return err
	}
	if l.in == nil {
		l.in = bufio.NewReaderSize(l.conn, 2<<10)
	}
	l.in.Reset(l.conn)
	return nil
}

// read reads an answer to its end, so that the connection can be used again.
func (l *httpLink) read(resp *http.Response) Answer {
	l.answer.Reset()
	n, err := l.answer.ReadFrom(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close() // it was read
	if resp.Close || err != nil || n == maxAnswer {
		l.Close()
	}
	if err != nil {
		return Answer{Outcome: Unknown, Detail: "half an answer: " + err.Error()}
	}
	if tag := resp.Header.Get("ETag"); tag != "" {
		l.tag = tag
	}
	if l.to.lean {
		switch {
		case resp.StatusCode == http.StatusOK:
			return Answer{Outcome: Done}
		case resp.StatusCode == http.StatusConflict && bytes.Contains(l.answer.Bytes(), clientBusy):
			return Answer{Outcome: ClientBusy}
		}
	}
	a := understand(resp.StatusCode, l.answer.Bytes())
	a.await(resp.Header.Get("Retry-After"))
	return a
}

// await notes how long the server asked to wait, in seconds as dibs says it.
func (a *Answer) await(retryAfter string) {
	if n, err := strconv.ParseUint(retryAfter, 10, 16); err == nil && a.Outcome == NotNow {
		a.Wait = time.Duration(n) * time.Second
	}
}

// understand reads the answer of a dibs server.
func understand(status int, body []byte) Answer {
	var in struct {
		Error  string
		Code   string
		Caller *struct{ ID string }
		Call   *struct {
			ID       string
			ClientID string `json:"client_id"`
			Token    int64
		}
	}
	err := json.Unmarshal(body, &in)
	a := Answer{Outcome: outcomeOf(status, in.Code)}
	switch {
	case a.Outcome == Done && status == http.StatusOK && err != nil:
		return Answer{Outcome: Unknown, Detail: "an answer that is not JSON"}
	case a.Outcome == Done && in.Call != nil:
		a.Call, a.Token = in.Call.ID, in.Call.Token
	case a.Outcome == ClientBusy && in.Caller != nil:
		a.Because = in.Caller.ID
	case a.Outcome == UserBusy && in.Call != nil:
		a.Because = in.Call.ClientID
	case a.Outcome == Unknown, a.Outcome == NotNow, a.Outcome == Failed:
		a.Detail = strings.TrimSpace(fmt.Sprintf("%d %s %s", status, in.Code, in.Error))
	}
	return a
}

// outcomeOf says what a status and a code of the closed set mean. What something
// between us and the server answered has no code.
func outcomeOf(status int, code string) Outcome {
	switch code {
	case "client_being_called":
		return ClientBusy
	case "user_on_call":
		return UserBusy
	case "overloaded", "unavailable", "rate_limited":
		return NotNow
	case "outcome_unknown":
		return Unknown
	}
	switch {
	case status == http.StatusOK, status == http.StatusNotModified:
		return Done
	case status == http.StatusTooManyRequests:
		return NotNow
	case status >= http.StatusInternalServerError:
		return Unknown
	}
	return Failed
}
