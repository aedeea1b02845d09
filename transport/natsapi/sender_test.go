package natsapi

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// mute is a connection that says nothing by itself.
type mute struct {
	inboxes int
	replies chan *nats.Msg
	sent    []string // the subjects for acknowledgements
	err     error
}

func (m *mute) NewInbox() string {
	m.inboxes++
	return strings.Repeat("i", m.inboxes)
}

func (m *mute) ChanSubscribe(_ string, to chan *nats.Msg) (*nats.Subscription, error) {
	m.replies = to
	return &nats.Subscription{}, nil
}

func (m *mute) PublishMsg(msg *nats.Msg) error {
	m.sent = append(m.sent, msg.Reply)
	return m.err
}

const acked = `{"stream":"DIBS_EVENTS","seq":7}`

func TestSenderMatchesAcknowledgements(t *testing.T) {
	m := &mute{}
	c := newSender(m)
	for range 3 * slots / inFlight { // slots are used again
		receipts := make([]receipt, inFlight)
		for i := range receipts {
			if err := c.send(&nats.Msg{}, &receipts[i]); err != nil {
				t.Fatal(err)
			}
		}
		last := m.sent[len(m.sent)-inFlight:]
		m.replies <- &nats.Msg{Subject: last[1], Data: []byte(`{"error":{"code":503,"err_code":10077,"description":"full"},"stream":"DIBS_EVENTS","seq":0}`)}
		m.replies <- &nats.Msg{Subject: "i.nonsense", Data: []byte(acked)}
		for i := inFlight - 1; i >= 0; i-- { // in any order
			if i != 1 {
				m.replies <- &nats.Msg{Subject: last[i], Data: []byte(acked)}
			}
		}
		m.replies <- &nats.Msg{Subject: last[0], Data: []byte("again")}
		for i := range receipts {
			err := c.wait(t.Context(), &receipts[i], nil)
			if (err != nil) != (i == 1) {
				t.Fatalf("message %d: %v", i, err)
			}
		}
	}
	if m.inboxes != 1 {
		t.Errorf("%d inboxes, want one", m.inboxes)
	}
}

// An acknowledgement that comes after all is not taken for that of another message.
func TestSenderDoesNotTakeOldAcknowledgements(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	lost := make(chan struct{})
	close(lost)
	for name, fail := range map[string]func(c *sender, m *mute, r *receipt) error{
		"lost connection": func(c *sender, _ *mute, r *receipt) error { return c.wait(t.Context(), r, lost) },
		"stopped":         func(c *sender, _ *mute, r *receipt) error { return c.wait(over, r, nil) },
		"not sent": func(c *sender, m *mute, r *receipt) error {
			m.err = errors.New("the connection is broken")
			defer func() { m.err = nil }()
			return c.send(&nats.Msg{}, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &mute{}
			c := newSender(m)
			var first, other, next receipt
			for _, r := range []*receipt{&first, &other} {
				if err := c.send(&nats.Msg{}, r); err != nil {
					t.Fatal(err)
				}
			}
			before := m.replies
			if err := fail(c, m, &first); err == nil {
				t.Fatal("want an error")
			}
			before <- &nats.Msg{Subject: m.sent[1], Data: []byte(acked)}
			if err := c.wait(t.Context(), &other, nil); err == nil {
				t.Error("what was in flight besides counts as acknowledged")
			}
			if err := c.send(&nats.Msg{}, &next); err != nil {
				t.Fatal(err)
			}
			if got := m.sent[len(m.sent)-1]; strings.HasPrefix(got, "i.") {
				t.Errorf("the next acknowledgement is asked for on %s", got)
			}
		})
	}
}

func TestParseAck(t *testing.T) {
	noResponders := nats.Header{}
	noResponders.Set("Status", "503")
	for _, c := range []struct {
		data      string
		header    nats.Header
		duplicate bool
		err       error
	}{
		{acked, nil, false, nil},
		{`{"stream":"DIBS_EVENTS","seq":7,"duplicate": true}`, nil, true, nil},
		{`{"stream":"DIBS_EVENTS","domain":"hub","seq":7}`, nil, false, nil},
		{`{"stream":"DIBS_EVENTS","seq":}`, nil, false, jetstream.ErrInvalidJSAck},
		{`{"stream":"DIBS_EVENTS","seq":7}}`, nil, false, jetstream.ErrInvalidJSAck},
		{`{"seq":7}`, nil, false, jetstream.ErrInvalidJSAck},
		{``, nil, false, jetstream.ErrInvalidJSAck},
		{``, noResponders, false, jetstream.ErrNoStreamResponse},
		{
			`{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"},"stream":"DIBS_EVENTS","seq":0}`,
			nil, false, jetstream.ErrStreamMessageExceedsMaximum,
		},
	} {
		duplicate, err := parseAck(&nats.Msg{Data: []byte(c.data), Header: c.header})
		if duplicate != c.duplicate || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v; want %v, %v", c.data, duplicate, err, c.duplicate, c.err)
		}
	}
}
