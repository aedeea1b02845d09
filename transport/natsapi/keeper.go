package natsapi

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// keeperSubject, with the name of a server behind it, is where that one is asked to write
// its files to its disk.
const keeperSubject = "dibs.disk."

// keeperError is the header of an answer that says why that could not be done.
const keeperError = "Dibs-Error"

// keeper answers for the server inside this node, one of several: what the servers of other
// nodes were acknowledged may be in its files alone. Whoever asks names the life that he
// knows, and gets it back when the files are on stable storage; without one, or with another
// one, he is told this one at once and nothing is done. It has one goroutine, which flushes:
// who asks for the life alone, a server that can be reached, does not wait for a slow disk.
type keeper struct {
	life  string // of this process: what an earlier one had not written may be gone
	flush func() error
	asked chan *nats.Msg // who waits for a flush
	sub   *nats.Subscription
	stop  chan struct{}
	done  chan struct{}
}

func startKeeper(nc *nats.Conn, name string, flush func() error) (*keeper, error) {
	k := &keeper{
		life: uuid.NewString(), flush: flush, asked: make(chan *nats.Msg, 256),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	sub, err := nc.Subscribe(keeperSubject+name, k.hear)
	if err != nil {
		return nil, fmt.Errorf("listening to the other NATS servers' nodes: %w", err)
	}
	k.sub = sub
	go k.run()
	return k, nil
}

// hear never waits.
func (k *keeper) hear(m *nats.Msg) {
	if string(m.Data) != k.life {
		k.answer(m, nil)
		return
	}
	select {
	case k.asked <- m:
	default: // what finds no room is not answered
	}
}

func (k *keeper) run() {
	defer close(k.done)
	for {
		select {
		case m := <-k.asked:
			k.serve(m)
		case <-k.stop:
			return
		}
	}
}

// serve answers all who wait by now. One flush serves them.
func (k *keeper) serve(m *nats.Msg) {
	waiting := []*nats.Msg{m}
	for range len(k.asked) {
		waiting = append(waiting, <-k.asked)
	}
	err := k.flush()
	for _, m := range waiting {
		k.answer(m, err)
	}
}

func (k *keeper) answer(m *nats.Msg, err error) {
	answer := nats.NewMsg(m.Reply)
	if err == nil {
		answer.Data = []byte(k.life)
	} else {
		answer.Header.Set(keeperError, err.Error())
	}
	_ = m.RespondMsg(answer) // lost, it is as if nobody had answered
}

// close waits for a flush under way, until ctx ends. It can be repeated by one goroutine.
func (k *keeper) close(ctx context.Context) {
	select {
	case <-k.stop:
	default:
		_ = k.sub.Unsubscribe() // the connection may be closed
		close(k.stop)
	}
	select {
	case <-k.done:
	case <-ctx.Done(): // a disk that hangs; nobody hears of it any more
	}
}
