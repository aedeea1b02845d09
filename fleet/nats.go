package fleet

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// NATS is a server over NATS; all links share one connection.
type NATS struct {
	nc      *nats.Conn
	timeout time.Duration
}

// NewNATS returns the servers that answer on nc, which the caller closes. Each
// request may take timeout.
func NewNATS(nc *nats.Conn, timeout time.Duration) *NATS { return &NATS{nc, timeout} }

// Link implements [Network].
func (n *NATS) Link() Link { return natsLink{n} }

type natsLink struct{ to *NATS }

// question is the body of every request.
type question struct {
	User   string `json:"user_id,omitempty"`
	Client string `json:"client_id,omitempty"`
	Call   string `json:"call_id,omitempty"`
	Lease  int64  `json:"lease_seconds,omitempty"`
}

// Start implements [Link].
func (l natsLink) Start(user, client string, lease time.Duration) Answer {
	return l.ask("start", question{User: user, Client: client, Lease: int64(lease / time.Second)})
}

// End implements [Link].
func (l natsLink) End(user, call string) Answer {
	return l.ask("end", question{User: user, Call: call})
}

// Look implements [Link].
func (l natsLink) Look(client string) Answer { return l.ask("availability", question{Client: client}) }

// List implements [Link].
func (natsLink) List() Answer {
	return Answer{Outcome: Failed, Detail: "there is no list over NATS"}
}

// Close implements [Link].
func (natsLink) Close() {}

func (l natsLink) ask(verb string, q question) Answer {
	body, _ := json.Marshal(q) // texts and numbers always have a JSON form
	msg := nats.NewMsg("dibs.rpc." + verb)
	msg.Data = body
	answer, err := l.to.nc.RequestMsg(msg, l.to.timeout)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return Answer{Outcome: NotNow, Detail: "no server answers on NATS"}
	case err != nil:
		return Answer{Outcome: Unknown, Detail: err.Error()}
	}
	status := 200
	if code := answer.Header.Get("Nats-Service-Error-Code"); code != "" {
		if status, err = strconv.Atoi(code); err != nil {
			return Answer{Outcome: Unknown, Detail: "an error without a code"}
		}
	}
	a := understand(status, answer.Data)
	a.await(answer.Header.Get("Retry-After"))
	return a
}
