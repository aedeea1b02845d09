package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

const drainLimit = time.Minute

// published holds the event stream to the store (I7): each start and end of
// every call is on it, in order for each client, and nothing else is. It
// returns how many events there are, and how many of them came twice.
func (d *deployment) published() (events, twice int) {
	d.t.Helper()
	if !d.publishes(drainLimit) {
		d.book.defects.addf("I7: events of %s wait to be published %v after everything was repaired", d.name, drainLimit)
		return 0, 0
	}
	missing := map[string]bool{}
	end := d.snapshot()
	for _, r := range slices.Concat(end.running, end.over) {
		missing[messages.EventID(r.id, messages.EventCallStarted)] = true
		if r.reason != "" {
			missing[messages.EventID(r.id, messages.EventCallEnded)] = true
		}
	}
	seen := map[string]bool{}
	progress := map[messages.ClientID]int64{} // twice the token, and one more once that call has ended
	for _, e := range d.readStream() {
		events++
		switch {
		case seen[e.ID]:
			twice++
			continue
		case !missing[e.ID]:
			d.book.defects.addf("I7: %s is on the stream, and such a call was never committed", e.ID)
		}
		seen[e.ID] = true
		delete(missing, e.ID)
		step := 2 * e.Call.Token
		if e.Type == messages.EventCallEnded {
			step++
		}
		if progress[e.Call.ClientID] >= step {
			d.book.defects.addf("I7: %s of token %d comes behind a later event of client %s", e.Type, e.Call.Token, e.Call.ClientID)
		}
		progress[e.Call.ClientID] = step
	}
	for id := range missing {
		d.book.defects.addf("I7: %s was committed and is not on the stream", id)
	}
	return events, twice
}

// readStream reads the whole event stream, oldest first. JetStream may be between two
// leaders just after it acknowledged something; then it is read again.
func (d *deployment) readStream() (all []messages.Event) {
	d.t.Helper()
	var err error
	d.within(drainLimit, func() bool {
		all, err = d.tryReadStream()
		return err == nil
	})
	if err != nil {
		d.t.Fatalf("reading the event stream of %s: %v", d.name, err)
	}
	return all
}

// replicated reports why the stream is not on so many servers, if so.
func (d *deployment) replicated(servers int) error {
	nc, err := nats.Connect(d.events)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), 3*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, natsapi.StreamName)
	if err != nil {
		return fmt.Errorf("finding the stream: %w", err)
	}
	where := stream.CachedInfo().Cluster
	if where == nil || where.Leader == "" || len(where.Replicas) != servers-1 {
		return fmt.Errorf("the stream is not on %d servers: %+v", servers, where)
	}
	for _, r := range where.Replicas {
		if !r.Current || r.Offline {
			return fmt.Errorf("the stream is not on %s: %+v", r.Name, *r)
		}
	}
	return nil
}

func (d *deployment) tryReadStream() (all []messages.Event, err error) {
	nc, err := nats.Connect(d.events)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(d.t.Context(), natsapi.StreamName)
	if err != nil {
		return nil, fmt.Errorf("finding the stream: %w", err)
	}
	consumer, err := stream.OrderedConsumer(d.t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, fmt.Errorf("making a consumer: %w", err)
	}
	// Not consumer.Next: it would make a consumer for each event.
	msgs, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	defer msgs.Stop()
	for n := stream.CachedInfo().State.Msgs; uint64(len(all)) < n; {
		msg, err := msgs.Next(jetstream.NextMaxWait(drainLimit))
		if err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", len(all), n, err)
		}
		var p struct{ Data messages.Event }
		must(d.t, json.Unmarshal(msg.Data(), &p))
		all = append(all, p.Data)
	}
	return all, nil
}
