package rivals

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Etcd is a transaction over two keys. Each user has a lease from the
// beginning, so that a start costs no second write for it; and the process
// remembers whom a user is calling, so that an end costs no read.
type Etcd struct {
	client  *clientv3.Client
	leases  map[uuid.UUID]clientv3.LeaseID // of users
	calling *sync.Map                      // user → client
}

// leasesAtOnce is how many leases are asked for at a time.
const leasesAtOnce = 64

// NewEtcd connects to a server and gets a lease for each user. etcd syncs its log
// before it answers, unless told not to on its command line.
func NewEtcd(ctx context.Context, endpoint string, users []uuid.UUID) (Rival, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())},
	})
	if err != nil {
		return nil, err
	}
	e := Etcd{client: client, leases: make(map[uuid.UUID]clientv3.LeaseID, len(users)), calling: &sync.Map{}}
	ids, errs := make([]clientv3.LeaseID, len(users)), make([]error, leasesAtOnce)
	var all sync.WaitGroup
	for w := range leasesAtOnce {
		all.Go(func() {
			for i := w; i < len(users) && errs[w] == nil; i += leasesAtOnce {
				var granted *clientv3.LeaseGrantResponse
				if granted, errs[w] = client.Grant(ctx, int64(Lease/time.Second)); errs[w] == nil {
					ids[i] = granted.ID
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	for i, u := range users {
		e.leases[u] = ids[i]
	}
	return e, nil
}

// Start implements [Rival].
func (e Etcd) Start(ctx context.Context, user, client uuid.UUID) (Result, error) {
	u, c := "u/"+user.String(), "c/"+client.String()
	lease := clientv3.WithLease(e.leases[user])
	resp, err := e.client.Txn(ctx).If(
		clientv3.Compare(clientv3.CreateRevision(u), "=", 0),
		clientv3.Compare(clientv3.CreateRevision(c), "=", 0),
	).Then(
		clientv3.OpPut(u, client.String(), lease), clientv3.OpPut(c, user.String(), lease),
	).Else(clientv3.OpGet(u), clientv3.OpGet(c)).Commit()
	switch {
	case err != nil:
		return Result{}, err
	case resp.Succeeded:
		e.calling.Store(user, client)
		return Result{}, nil
	case len(resp.Responses[0].GetResponseRange().Kvs) > 0:
		return Result{Outcome: UserBusy}, nil
	}
	holder, err := uuid.ParseBytes(resp.Responses[1].GetResponseRange().Kvs[0].Value)
	return Result{ClientBusy, holder}, err
}

// End implements [Rival].
func (e Etcd) End(ctx context.Context, user uuid.UUID) error {
	client, ok := e.calling.LoadAndDelete(user)
	if !ok {
		return nil
	}
	_, err := e.client.Txn(ctx).Then(clientv3.OpDelete("u/"+user.String()), clientv3.OpDelete("c/"+client.(uuid.UUID).String())).Commit()
	return err
}

// Holder implements [Rival].
func (e Etcd) Holder(ctx context.Context, client uuid.UUID) (uuid.UUID, error) {
	resp, err := e.client.Get(ctx, "c/"+client.String())
	if err != nil || len(resp.Kvs) == 0 {
		return uuid.Nil, err
	}
	return uuid.ParseBytes(resp.Kvs[0].Value)
}

// Close implements [Rival].
func (e Etcd) Close() { _ = e.client.Close() } // nothing is under way
