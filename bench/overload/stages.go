package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/fleet"
)

// lab is one deployment that is measured.
type lab struct {
	options
	d       *deployment
	network fleet.Network
	report  *report
}

// measure carries out all stages.
func (l *lab) measure(ctx context.Context) error {
	flat := l.stage("flat out", 0)
	flat.agents = 128
	capacity, err := l.run(ctx, flat)
	if err != nil {
		return err
	}
	l.report.Capacity = capacity.Admitted
	for range l.rounds {
		if err := l.round(ctx); err != nil {
			return err
		}
	}
	if l.more {
		err = l.measureMore(ctx)
	}
	return err
}

// round goes from half the capacity to four times as much, and back.
func (l *lab) round(ctx context.Context) error {
	half := l.stage("0.5 ×", l.report.Capacity/2)
	for _, s := range []stage{half, l.stage("1 ×", l.report.Capacity), l.stage("2 ×", 2*l.report.Capacity), l.stage("4 ×", 4*l.report.Capacity)} {
		if _, err := l.run(ctx, s); err != nil {
			return err
		}
	}
	// The load has just fallen from four times to half: nothing is left out.
	after := half
	after.name, after.warmUp = "0.5 × again, at once", 0
	_, err := l.run(ctx, after)
	return err
}

// measureMore is twice the capacity, in worse ways.
func (l *lab) measureMore(ctx context.Context) error {
	anew := l.stage("2 ×, new connections", 2*l.report.Capacity)
	anew.anew = true
	if _, err := l.run(ctx, anew); err != nil {
		return err
	}
	crowd := l.stage(fmt.Sprintf("2 ×, %d connections", l.crowd), 2*l.report.Capacity)
	crowd.agents = l.crowd
	if _, err := l.run(ctx, crowd); err != nil {
		return err
	}
	deaf, err := l.deafReaders(90) // of one key; it may have a hundred
	if err != nil {
		return err
	}
	defer deaf()
	_, err = l.run(ctx, l.stage("2 ×, 90 readers that read nothing", 2*l.report.Capacity))
	return err
}

func (l *lab) stage(name string, rate float64) stage {
	return stage{name: name, rate: rate, agents: l.agents, warmUp: time.Second, counted: l.duration}
}

func (l *lab) run(ctx context.Context, s stage) (figures, error) {
	r := &run{stage: s, network: l.network, users: l.d.users, clients: l.d.clients}
	w := watch(ctx, l.d)
	r.do(ctx)
	f, details := r.figures()
	f.Probes, f.RSS = w.finish()
	l.report.add(f)
	fmt.Fprintln(os.Stderr, l.report.Store, f.line())
	for d, n := range details {
		fmt.Fprintf(os.Stderr, "    %d × %s\n", n, d)
	}
	return f, ctx.Err()
}

// deafReaders ask for live events and never read them.
func (l *lab) deafReaders(n int) (end func(), err error) {
	var conns []net.Conn
	end = func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	address := strings.TrimPrefix(l.d.url, "http://")
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			end()
			return nil, err
		}
		conns = append(conns, c)
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := fmt.Fprintf(c, "GET /api/events HTTP/1.1\r\nHost: dibs\r\nAuthorization: Bearer %s\r\n\r\n", l.d.key); err != nil {
			end()
			return nil, err
		}
	}
	return end, nil
}
