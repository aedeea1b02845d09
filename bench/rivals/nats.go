package rivals

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATS is two creates in a JetStream key-value bucket, the second taken back if
// it fails; the keys run out. A process that dies between the two leaves the
// first behind until then. The process remembers whom a user is calling, so that
// an end costs no read.
type NATS struct {
	nc      *nats.Conn
	kv      jetstream.KeyValue
	calling *sync.Map // user → client
}

// NewNATS connects to a server, which must be set to sync every write.
func NewNATS(ctx context.Context, url string) (Rival, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: "calls", History: 1, TTL: Lease, Storage: jetstream.FileStorage,
	})
	return NATS{nc, kv, &sync.Map{}}, err
}

// Start implements [Rival].
func (n NATS) Start(ctx context.Context, user, client uuid.UUID) (Result, error) {
	u, c := "u."+user.String(), "c."+client.String()
	_, err := n.kv.Create(ctx, c, []byte(user.String()))
	if errors.Is(err, jetstream.ErrKeyExists) {
		holder, err := n.Holder(ctx, client)
		return Result{ClientBusy, holder}, err
	}
	if err != nil {
		return Result{}, err
	}
	if _, err = n.kv.Create(ctx, u, []byte(client.String())); err == nil {
		n.calling.Store(user, client)
		return Result{}, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return Result{}, err
	}
	return Result{Outcome: UserBusy}, n.kv.Delete(ctx, c)
}

// End implements [Rival].
func (n NATS) End(ctx context.Context, user uuid.UUID) error {
	client, ok := n.calling.LoadAndDelete(user)
	if !ok {
		return nil
	}
	if err := n.kv.Delete(ctx, "u."+user.String()); err != nil {
		return err
	}
	return n.kv.Delete(ctx, "c."+client.(uuid.UUID).String())
}

// Holder implements [Rival].
func (n NATS) Holder(ctx context.Context, client uuid.UUID) (uuid.UUID, error) {
	entry, err := n.kv.Get(ctx, "c."+client.String())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.ParseBytes(entry.Value())
}

// Close implements [Rival].
func (n NATS) Close() { n.nc.Close() }
