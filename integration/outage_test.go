package integration

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/transport/natsapi"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// TestFullStreamThatRefuses: an operator has told the stream to refuse when it is
// full, and it is. Calls go on, the backlog can be seen in /metrics, and drains by
// itself when there is room, complete and in order for each client (I7).
func TestFullStreamThatRefuses(t *testing.T) {
	k, nats := newFullStream(t)
	limitStream(t, nats, jetstream.DiscardNew, 500)
	k.work(2000)
	acknowledged := int(k.book.acknowledged.Load())
	if waiting := k.waiting(); waiting < acknowledged-500 {
		t.Errorf("%d events wait of %d, and 500 have a place on the stream", waiting, acknowledged)
	}
	waitFor(t, time.Minute, "the backlog in /metrics", func() bool {
		return metric(t, k.server, "dibs_outbox_rows") > 0 && metric(t, k.server, "dibs_outbox_oldest_seconds") > 0 &&
			metric(t, k.server, "dibs_event_publish_failures_total") > 0
	})
	// What the server itself committed is shown, stream or not.
	k.agrees()
	limitStream(t, nats, jetstream.DiscardNew, -1)
	k.checkStream(nats)
	waitFor(t, time.Minute, "an empty outbox in /metrics", func() bool { return metric(t, k.server, "dibs_outbox_rows") == 0 })
}

// TestFullStreamThatForgets: a stream that is full forgets what is oldest, as dibs
// sets it up. Nothing waits for it, and what the server shows is right.
func TestFullStreamThatForgets(t *testing.T) {
	const room = 100
	k, nats := newFullStream(t)
	limitStream(t, nats, jetstream.DiscardOld, room)
	k.work(2000)
	waitFor(t, drainLimit, "the outbox to be empty", func() bool { return k.waiting() == 0 })
	if n := metric(t, k.server, "dibs_event_publish_failures_total"); n != 0 {
		t.Errorf("publishing failed %v times", n)
	}
	if n := len(readStream(t, nats)); n != room {
		t.Errorf("%d events on the stream, want the newest %d", n, room)
	}
	waitFor(t, time.Minute, "the server to know all", func() bool { return metric(t, k.server, "dibs_live_stale") == 0 })
	k.agrees()
}

func newFullStream(t *testing.T) (k *killer, url string) {
	t.Helper()
	bin, err := natstest.Build(t.Context(), t.TempDir())
	must(t, err)
	server := startNATS(t, bin)
	return newKiller(t, onSQLite(t), "--nats-url", server.URL()), server.URL()
}

// agrees checks that the server shows the calls that are in the store.
func (k *killer) agrees() {
	k.t.Helper()
	want := claimsIn(k.t, k.db)
	if !sameCalls(harness.NewClient(k.t, k.server.URL, serviceKey(k.t, k.dibs)).Statuses(k.t, true), want) {
		k.t.Errorf("the server does not show the %d calls in progress", len(want))
	}
}

// limitStream changes the event stream as an operator does.
func limitStream(t *testing.T, url string, discard jetstream.DiscardPolicy, events int64) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(readyLimit))
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(readyLimit))
	must(t, err)
	var stream jetstream.Stream
	waitFor(t, readyLimit, "the event stream", func() bool {
		stream, err = js.Stream(t.Context(), natsapi.StreamName)
		return err == nil
	})
	cfg := stream.CachedInfo().Config
	cfg.Discard, cfg.MaxMsgs = discard, events
	_, err = js.UpdateStream(t.Context(), cfg)
	must(t, err)
}
