package integration

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

const callers = 64

// BenchmarkRequests asks the same server over HTTP and over NATS, with 64
// callers at a time on one connection to NATS: an operation is a call, started
// and ended, or a question about a client. Latencies are those of one request,
// as a program sees them that uses the client library.
//
// "embedded" is NATS inside dibs, "server" a nats-server between the two. Each
// way is measured twice, in turns, so that a change of the machine's mood shows.
func BenchmarkRequests(b *testing.B) {
	b.Run("embedded", func(b *testing.B) {
		address := harness.FreeAddr(b)
		benchmarkRequests(b, address, "--nats-listen", address)
	})
	b.Run("server", func(b *testing.B) {
		bin, err := natstest.Build(b.Context(), b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		server, err := natstest.NewServer(bin, b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		if err := server.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = server.Kill() })
		benchmarkRequests(b, server.Addr(), "--nats-url", server.URL())
	})
}

func benchmarkRequests(b *testing.B, address string, args ...string) {
	d := harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: b.TempDir(), DatabaseURL: pgtest.EmptyURL(b)}}
	signIn := newDialer(b, d, callers, callers)
	s := d.Serve(b, args...)
	s.WaitReady(readyLimit)
	web := signIn(s)
	overHTTP, err := client.New(s.URL, client.APIKey(serviceKey(b, d)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(overHTTP.Close)
	_, overNATS := overNATS(b, address)
	for range 2 {
		for _, way := range []struct {
			name string
			dibs *client.Client
		}{{"http", overHTTP}, {"nats", overNATS}} {
			b.Run("calls/"+way.name, func(b *testing.B) {
				measure(b, func(ctx context.Context, caller int, timed func(func() error)) {
					var call client.Call
					timed(func() (err error) {
						call, err = way.dibs.Start(ctx, web.users[caller].String(), web.clients[caller].String())
						return err
					})
					timed(func() error { return way.dibs.End(ctx, call, client.Outcome{}) })
				})
			})
			b.Run("availability/"+way.name, func(b *testing.B) {
				measure(b, func(ctx context.Context, caller int, timed func(func() error)) {
					timed(func() error {
						_, err := way.dibs.Availability(ctx, web.clients[caller].String())
						return err
					})
				})
			})
		}
	}
}

// measure has the callers share b.N operations, and reports how long the
// requests took that were timed.
func measure(b *testing.B, operation func(ctx context.Context, caller int, timed func(func() error))) {
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, callers)
	var working sync.WaitGroup
	b.ResetTimer()
	for caller := range callers {
		working.Go(func() {
			for left.Add(-1) >= 0 {
				operation(b.Context(), caller, func(request func() error) {
					begin := time.Now()
					if err := request(); err != nil {
						b.Error(err)
					}
					took[caller] = append(took[caller], time.Since(begin))
				})
			}
		})
	}
	working.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	if len(all) == 0 {
		return
	}
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(all[(len(all)-1)*p/100].Microseconds()), fmt.Sprintf("p%d-µs", p))
	}
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "requests/s")
}
