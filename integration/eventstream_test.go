package integration

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

const drainLimit = time.Minute

// published is a message of the event stream, as any service reads it.
type published struct {
	messageID string // Nats-Msg-Id
	raw       []byte

	ID   string         `json:"id"`
	Type string         `json:"type"`
	Data messages.Event `json:"data"`
}

// readStream reads the whole event stream, oldest first.
func readStream(t *testing.T, url string) []published {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(readyLimit))
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(readyLimit))
	must(t, err)
	stream, err := js.Stream(t.Context(), natsapi.StreamName)
	must(t, err)
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	must(t, err)
	var all []published
	for n := stream.CachedInfo().State.Msgs; uint64(len(all)) < n; {
		msg, err := consumer.Next(jetstream.FetchMaxWait(drainLimit))
		must(t, err)
		p := published{messageID: msg.Headers().Get(jetstream.MsgIDHeader), raw: msg.Data()}
		must(t, json.Unmarshal(msg.Data(), &p))
		all = append(all, p)
	}
	return all
}

// checkStream waits until the outbox is empty, and holds the stream to what was
// committed: every event of every call is there, in order for each client, under
// an id that is always the same, and nothing else is.
func (k *killer) checkStream(url string) {
	k.t.Helper()
	if k.t.Failed() {
		return
	}
	waitFor(k.t, drainLimit, "the outbox to be empty", func() bool { return k.waiting() == 0 })
	missing := k.committed()
	all := readStream(k.t, url)
	first := map[string]published{}
	progress := map[messages.ClientID]int64{} // twice the token, and one more once that call has ended
	for _, p := range all {
		if p.ID != p.messageID || p.ID != p.Data.ID || p.ID != messages.EventID(p.Data.Call.ID, p.Data.Type) {
			k.t.Fatalf("an event has the ids %q, %q and %q", p.ID, p.messageID, p.Data.ID)
		}
		if before, again := first[p.ID]; again {
			if !bytes.Equal(before.raw, p.raw) {
				k.t.Errorf("I7 is broken: %s came again as another: %s and %s", p.ID, before.raw, p.raw)
			}
			continue
		}
		first[p.ID] = p
		if !missing[p.ID] {
			k.t.Errorf("I7 is broken: %s is on the stream, and such a call was never committed", p.ID)
		}
		delete(missing, p.ID)
		step := 2 * p.Data.Call.Token
		if p.Data.Type == messages.EventCallEnded {
			step++
		}
		if client := p.Data.Call.ClientID; progress[client] >= step {
			k.t.Errorf("I7 is broken: %s of token %d comes behind a later one of client %s", p.Data.Type, p.Data.Call.Token, client)
		}
		progress[p.Data.Call.ClientID] = step
	}
	for id := range missing {
		k.t.Errorf("I7 is broken: %s was committed and is not on the stream", id)
	}
	k.t.Logf("%d events of %d clients on the stream, %d of them twice", len(all), len(progress), len(all)-len(first))
}
