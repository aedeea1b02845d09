package natskv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/placement/membership"
)

const (
	// Bucket is the key-value bucket of the members.
	Bucket        = "DIBS_NODES"
	stream        = "KV_" + Bucket
	subjectPrefix = "$KV." + Bucket + "."
	// forgetAfter removes members that nobody took out: longer than anybody waits for
	// one.
	forgetAfter = time.Minute
)

// Register implements [membership.Register].
type Register struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	replicas int
	bell     *Bell

	mu       sync.Mutex
	there    bool             // the bucket was seen
	id       string           // of the member that is being written
	own      placement.Member // as it was last written for certain; empty: not yet
	revision uint64           // of own; 0: not known
	written  bool             // it was tried to write that member, at least
}

var _ membership.Register = (*Register)(nil)

// NewRegister returns the register on a connection. replicas is of the bucket, when it
// has to be made.
func NewRegister(nc *nats.Conn, bell *Bell, replicas int) (*Register, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("setting up JetStream: %w", err)
	}
	return &Register{nc: nc, js: js, replicas: max(replicas, 1), bell: bell}, nil
}

// Changed implements [membership.Register].
func (r *Register) Changed() <-chan struct{} { return r.bell.Rung() }

// Exchange implements [membership.Register].
func (r *Register) Exchange(ctx context.Context, own placement.Member) ([]placement.Member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.bucket(ctx); err != nil {
		return nil, err
	}
	if own.ID != r.id {
		r.id, r.own, r.revision, r.written = own.ID, placement.Member{}, 0, false
	}
	if err := r.write(ctx, own); err != nil {
		return nil, err
	}
	if Differs(r.own, own) {
		r.bell.Ring()
	}
	r.own = own
	return r.members(ctx)
}

// bucket makes the bucket if it is not there. It is a key-value bucket like any other,
// but that copies which may be behind do not answer reads.
func (r *Register) bucket(ctx context.Context) error {
	if r.there {
		return nil
	}
	_, err := r.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = r.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: stream, Subjects: []string{subjectPrefix + ">"}, Description: "The nodes of dibs.",
			MaxMsgsPerSubject: 1, MaxAge: forgetAfter, Discard: jetstream.DiscardNew, Replicas: r.replicas,
			Storage: jetstream.FileStorage, AllowRollup: true, DenyDelete: true, AllowDirect: false,
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("the bucket %s: %w", Bucket, err)
	}
	r.there = true
	return nil
}

// write puts own in the place of what was there before.
func (r *Register) write(ctx context.Context, own placement.Member) error {
	if r.written && r.revision == 0 {
		if err := r.findOwn(ctx, own.ID); err != nil {
			return err
		}
	}
	data, err := json.Marshal(own)
	if err != nil {
		return err
	}
	expected := r.revision
	r.revision = 0 // not known until the answer is there
	r.written = true
	ack, err := r.js.Publish(ctx, subjectPrefix+own.ID, data, jetstream.WithExpectLastSequencePerSubject(expected), jetstream.WithRetryAttempts(0))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		r.there = false
		return fmt.Errorf("writing to the register: %w", err)
	case err != nil:
		return fmt.Errorf("writing to the register: %w", err)
	}
	r.revision = ack.Sequence
	return nil
}

// findOwn finds the revision of what this member wrote last, after a write whose answer
// was lost.
func (r *Register) findOwn(ctx context.Context, id string) error {
	m, err := r.last(ctx, id)
	switch {
	case errors.Is(err, errNoMessage) && r.own.ID == "":
		return nil // the first write, and it did not happen
	case errors.Is(err, errNoMessage):
		return membership.ErrEvicted
	case err != nil:
		return err
	case m.removed:
		return membership.ErrEvicted
	}
	r.revision = m.revision
	return nil
}

// Remove implements [membership.Register].
func (r *Register) Remove(ctx context.Context, id string) error {
	kv, err := r.js.KeyValue(ctx, Bucket)
	if err == nil {
		err = kv.Delete(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("taking a node out of the register: %w", err)
	}
	r.bell.Ring()
	return nil
}

// Read returns all members, for who is none.
func (r *Register) Read(ctx context.Context) ([]placement.Member, error) { return r.members(ctx) }

// members reads all members from the leader of the stream.
func (r *Register) members(ctx context.Context) ([]placement.Member, error) {
	s, err := r.js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("the bucket %s: %w", Bucket, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subjectPrefix+">"))
	if err != nil {
		return nil, fmt.Errorf("reading the register: %w", err)
	}
	var mu sync.Mutex
	var members []placement.Member
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for subject := range info.State.Subjects {
		group.Go(func() error {
			m, err := r.last(ctx, strings.TrimPrefix(subject, subjectPrefix))
			switch {
			case errors.Is(err, errNoMessage):
				return nil
			case err != nil:
				return err
			case m.removed:
				m.member = placement.Member{ID: strings.TrimPrefix(subject, subjectPrefix), Left: true}
			}
			mu.Lock()
			defer mu.Unlock()
			members = append(members, m.member)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return members, nil
}

type stored struct {
	member   placement.Member
	revision uint64
	removed  bool
}

var errNoMessage = errors.New("there is no such member")

// last returns what a member wrote last, by the leader of the stream.
func (r *Register) last(ctx context.Context, id string) (stored, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subjectPrefix + id})
	if err != nil {
		return stored{}, err
	}
	reply, err := r.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, request)
	if err != nil {
		return stored{}, fmt.Errorf("reading the register: %w", err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return stored{}, fmt.Errorf("reading the register: %w", err)
	}
	if answer.Error != nil {
		if answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return stored{}, errNoMessage
		}
		return stored{}, fmt.Errorf("reading the register: %w", answer.Error)
	}
	s := stored{revision: answer.Message.Sequence, removed: len(answer.Message.Data) == 0}
	if s.removed {
		return s, nil
	}
	if err := json.Unmarshal(answer.Message.Data, &s.member); err != nil {
		return stored{}, fmt.Errorf("what %s says in the register cannot be understood: %w", id, err)
	}
	return s, nil
}
