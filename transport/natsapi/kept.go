package natsapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// levelEvery is how often it is asked whether those that are to flush have everything.
const levelEvery = 10 * time.Millisecond

// kept is who kept a stream at some time. It is not changed. Nil: nobody has to be asked.
type kept struct {
	of    *keepers
	lives map[string]string // by name
	until time.Time         // it is asked again then
	led   *reign            // nil: nobody is left out, and it does not matter
}

// reign is from when to when a server leads those that keep a stream. What one has
// acknowledged the next one may take for not acknowledged, until it has a message of its own.
type reign struct {
	leader string
	since  time.Time
}

func (k *kept) same(other *kept) bool {
	if k == nil || other == nil || k == other {
		return k == other
	}
	return maps.Equal(k.lives, other.lives) && k.led.same(other.led)
}

func (r *reign) same(other *reign) bool {
	if r == nil || other == nil {
		return r == other
	}
	return r.leader == other.leader && r.since.Equal(other.since)
}

// flush returns when what was sent and acknowledged since k was found is on stable storage.
// After an error that may be lost, and has to be sent again.
func (k *kept) flush(ctx context.Context) error {
	if k == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, diskWithin)
	defer cancel()
	err := k.level(ctx)
	if err == nil {
		err = k.write(ctx)
	}
	if err != nil {
		k.of.forget(k)
	}
	return err
}

func (k *kept) write(ctx context.Context) error {
	return each(slices.Collect(maps.Keys(k.lives)), func(name string) error {
		life, err := k.of.ask(ctx, name, k.lives[name], diskWithin)
		if err == nil && life != k.lives[name] {
			err = fmt.Errorf("the NATS server of %s has started anew and may have lost what it acknowledged", name)
		}
		return err
	})
}

// level returns when all who are to flush have what was acknowledged, where that is not
// certain: with one left out, they may not be those that the leader acknowledged for. The
// leader's word is good for what it acknowledged in this reign, with this life.
func (k *kept) level(ctx context.Context) error {
	if k.led == nil {
		return nil // all flush, and so do all that it was acknowledged for
	}
	behind := maps.Clone(k.lives)
	delete(behind, k.led.leader)
	for {
		cluster, err := k.of.cluster(ctx)
		if err != nil {
			return fmt.Errorf("finding out whether the NATS servers that keep the stream %s are level: %w", k.of.stream, err)
		}
		if cluster.LeaderSince == nil || !k.led.same(&reign{cluster.Leader, *cluster.LeaderSince}) {
			return fmt.Errorf("another NATS server leads those that keep the stream %s", k.of.stream)
		}
		for _, r := range cluster.Replicas {
			if r.Current && !r.Offline && r.Lag == 0 {
				delete(behind, r.Name)
			}
		}
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-time.After(levelEvery):
		case <-ctx.Done():
			return fmt.Errorf("%d of the NATS servers that keep the stream %s are behind: %w", len(behind), k.of.stream, ctx.Err())
		}
	}
}
