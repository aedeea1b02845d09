package natsapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// keepersKnown is how long it is not asked again who keeps a stream, fewKnown the same
	// while one of them is away: one that hangs is waited for each time.
	keepersKnown = 2 * time.Second
	fewKnown     = 10 * time.Second
	// lifeWithin and diskWithin are how long a server may take to answer.
	lifeWithin = time.Second
	diskWithin = 3 * time.Second
)

// keepers has a stream written to the disks that it is on, where the servers inside several
// nodes are one cluster. An acknowledgement says there that the server which keeps the
// stream, or most of those that do, have given the message to their operating systems; this
// node's may be none of them. So each is asked to flush its files ([keeper]).
//
// A server that has started anew since a message was sent may have lost it with its
// machine's power, and its flush says nothing. So who keeps the stream, and which life each
// of them lives, has to be known before the message is sent, and only they answer for it.
//
// A server that cannot be reached keeps nobody waiting as long as most can be. It may be its
// node alone that does not answer: then it counts among those for whom the leader
// acknowledges, and one of the others may have the message later. So before the others flush
// their files the leader has to say that they have all that it has acknowledged. It is safe
// for concurrent use.
type keepers struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stream string
	// seen looks at what the stream's leader says of those that keep it; tests change it.
	seen func(*jetstream.ClusterInfo)

	mu   sync.Mutex
	last *kept
}

// before returns who keeps the stream, before something is sent to it.
func (s *keepers) before(ctx context.Context) (*kept, error) {
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last != nil && time.Now().Before(last.until) {
		return last, nil
	}
	found, err := s.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the NATS servers that keep the stream %s: %w", s.stream, err)
	}
	s.mu.Lock()
	s.last = found
	s.mu.Unlock()
	return found, nil
}

// cluster is what the stream's leader says of those that keep it.
func (s *keepers) cluster(ctx context.Context) (*jetstream.ClusterInfo, error) {
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return nil, err
	}
	cluster := stream.CachedInfo().Cluster
	if cluster == nil || cluster.Leader == "" {
		return nil, errors.New("it has no leader")
	}
	if s.seen != nil {
		s.seen(cluster)
	}
	return cluster, nil
}

func (s *keepers) find(ctx context.Context) (*kept, error) {
	cluster, err := s.cluster(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{cluster.Leader}
	for _, r := range cluster.Replicas {
		if !r.Offline {
			names = append(names, r.Name)
		}
	}
	found := &kept{of: s, lives: map[string]string{}}
	var mu sync.Mutex
	err = each(names, func(name string) error {
		life, err := s.ask(ctx, name, "", lifeWithin)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			found.lives[name] = life
		}
		return err
	})
	all := 1 + len(cluster.Replicas)
	if found.lives[cluster.Leader] == "" || len(found.lives) <= all/2 {
		return nil, errors.Join(fmt.Errorf("%d of %d can be reached", len(found.lives), all), err)
	}
	found.until = time.Now().Add(keepersKnown)
	if len(found.lives) < all {
		if cluster.LeaderSince == nil {
			return nil, errors.New("its leader does not say since when it leads")
		}
		found.until = time.Now().Add(fewKnown)
		found.led = &reign{cluster.Leader, *cluster.LeaderSince}
	}
	return found, nil
}

func (s *keepers) forget(k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == k {
		s.last = nil
	}
}

// ask asks the server of a node to write its files, if it lives that life.
func (s *keepers) ask(ctx context.Context, name, life string, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := s.nc.RequestWithContext(ctx, keeperSubject+name, []byte(life))
	if err != nil {
		return "", fmt.Errorf("asking the NATS server of %s to write to its disk: %w", name, err)
	}
	if why := m.Header.Get(keeperError); why != "" {
		return "", fmt.Errorf("the NATS server of %s: %s", name, why)
	}
	return string(m.Data), nil
}

// each does something for all names at once.
func each(names []string, do func(string) error) error {
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { errs[i] = do(name) })
	}
	all.Wait()
	return errors.Join(errs...)
}
