package natsapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/trace"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/spans"
	"github.com/dibs-calls/dibs/transport/wire"
)

const (
	timeoutHeader   = "Dibs-Timeout"
	maxHeaderBytes  = 16 << 10 // as over HTTP
	maxCallerLength = 64
)

// rpc is one request. It belongs to the goroutine that serves it.
type rpc struct {
	service  *Service
	endpoint *endpoint
	name     string // of the endpoint
	subject  string
	reply    string
	header   micro.Headers
	body     []byte
	began    time.Time
	span     trace.Span // nil: there is no tracing
	done     bool       // it was carried out
}

// answerable reports whether an answer may be sent to subject. The server lets
// callers name any, so they could have us publish where they may not.
func answerable(subject string) bool {
	return subject != "" && !strings.HasPrefix(subject, "$") && !strings.HasPrefix(subject, "dibs.")
}

// check looks at what every request has, and returns how long this one may take.
func (x *rpc) check() (timeout time.Duration, err error) {
	size := 0
	for key, lines := range x.header {
		for _, line := range lines {
			size += len(key) + len(line)
		}
	}
	if size > maxHeaderBytes {
		return 0, &wire.Problem{Code: messages.CodeTooLarge, Sentence: "The headers are larger than 16 KiB."}
	}
	if len(x.body) > wire.MaxBody {
		return 0, &wire.Problem{Code: messages.CodeTooLarge, Sentence: "The body is larger than 64 KiB."}
	}
	lines := x.lines(timeoutHeader)
	if len(lines) == 0 {
		return x.service.cfg.Timeout, nil
	}
	timeout, err = time.ParseDuration(lines[0])
	if err != nil || len(lines) > 1 || timeout <= 0 {
		return 0, wire.BadRequest("%s must be a duration such as 1.5s.", timeoutHeader)
	}
	return min(timeout, rpcLongest), nil
}

// lines are those of a header. NATS compares names of headers by every letter;
// a key that is overlooked would be one that does not protect.
func (x *rpc) lines(name string) []string {
	var all []string
	for key, lines := range x.header {
		if strings.EqualFold(key, name) {
			all = append(all, lines...)
		}
	}
	return all
}

// scope is the end of the subject, whatever it is: who shares limits.
func (x *rpc) scope() string { return strings.TrimPrefix(x.subject, rpcPrefix+x.endpoint.name) }

// caller is who is asking, as far as the server vouches for it.
func (x *rpc) caller() (string, error) {
	name := x.scope()
	if name == "" {
		return "nats", nil
	}
	name = name[1:] // the dot
	if len(name) > maxCallerLength || !named(name) {
		return "", wire.BadRequest("The name at the end of the subject must be 1 to %d letters, digits, '-' or '_'.", maxCallerLength)
	}
	return "nats:" + name, nil
}

func named(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// change reads the request for a change of calls.
func (x *rpc) change(ctx context.Context) (in *wire.Change, user messages.User, key *messages.Key, err error) {
	in = &wire.Change{}
	if err = wire.Decode(x.body, in); err != nil {
		return nil, user, nil, err
	}
	if in.Action != "" && in.Action != x.endpoint.action {
		return nil, user, nil, wire.BadRequest("action must be %s on this subject, or left out.", x.endpoint.action)
	}
	switch {
	case in.UserID != "":
		user.ID.UUID, err = wire.ParseID("user_id", in.UserID)
	case in.UserEmail != "":
		user.ID, err = x.service.desk.UserByEmail(ctx, in.UserEmail)
	default:
		err = wire.BadRequest("user_id is required: a request over NATS acts for the user that it names.")
	}
	if err != nil {
		return nil, user, nil, err
	}
	caller, err := x.caller()
	if err != nil {
		return nil, user, nil, err
	}
	key, err = wire.Key(caller, x.lines(wire.KeyHeader), x.body, rpcPrefix+x.endpoint.name)
	return in, user, key, err
}

// finish answers with what the handler returned.
func (x *rpc) finish(answer any, err error) {
	out := nats.NewMsg(x.reply)
	status := http.StatusOK
	var p *wire.Problem
	if err == nil {
		out.Data, err = json.Marshal(answer)
	}
	if err != nil {
		p = wire.ProblemOf(err, x.endpoint.action == "")
		status = x.refuse(out, p)
	}
	x.end(p)
	x.done = status == http.StatusOK
	x.service.metrics.served(x.name, status, time.Since(x.began))
	// While the connection is down nothing can be answered. The caller asks
	// again, with the same key.
	if err := x.service.nc.PublishMsg(out); err != nil {
		x.service.log.Debug("an answer could not be sent", "subject", x.subject, "error", err)
	}
}

// refuse makes out the answer to a request that was not carried out.
func (x *rpc) refuse(out *nats.Msg, p *wire.Problem) (status int) {
	how, body := p.Body()
	out.Data, _ = json.Marshal(&body) // it always encodes
	out.Header.Set(micro.ErrorHeader, string(body.Code))
	out.Header.Set(micro.ErrorCodeHeader, strconv.Itoa(how.Status))
	if seconds := how.Seconds(); seconds != "" {
		out.Header.Set("Retry-After", seconds)
	}
	attrs := []slog.Attr{slog.String("subject", x.subject), slog.String("code", string(p.Code)), slog.Any("cause", p.Cause)}
	ctx, log := x.context(), x.service.log
	attrs = spans.Logged(ctx, attrs)
	switch how.Status {
	case http.StatusServiceUnavailable:
		x.service.busyLog.Do(func() { log.LogAttrs(ctx, slog.LevelWarn, "request refused", attrs...) })
	case http.StatusInternalServerError:
		log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
	}
	return how.Status
}

func unavailable() *wire.Problem { return &wire.Problem{Code: messages.CodeUnavailable} }

// overloaded refuses a request, and says when to come again.
func (s *Service) overloaded() *wire.Problem {
	return &wire.Problem{Code: messages.CodeOverloaded, RetryAfter: s.cfg.Admission.RetryAfter()}
}
