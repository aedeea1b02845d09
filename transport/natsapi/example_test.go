package natsapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/transport/natsapi"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// A node with a NATS server of its own, from its start to its end.
func Example() {
	dir, err := os.MkdirTemp("", "dibs-nats-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of an example
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	bus, err := natsapi.Open(ctx, natsapi.Config{
		Embedded: natsapi.EmbeddedConfig{Dir: dir},
		Metrics:  prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	outbox := &natstest.Outbox{} // the store, in a real node
	publisher, err := bus.NewPublisher(outbox)
	if err != nil {
		panic(err)
	}
	publisher.Start()

	outbox.Add(natstest.Started(1, 0))
	publisher.Wake() // after each commit

	// The publisher first: it needs the bus to empty the outbox.
	fmt.Println("publisher:", publisher.Stop(ctx))
	fmt.Println("rows left:", outbox.Len())
	fmt.Println("bus:", bus.Close(ctx))
	// Output:
	// publisher: <nil>
	// rows left: 0
	// bus: <nil>
}
