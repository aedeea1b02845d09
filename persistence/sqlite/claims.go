package sqlite

import (
	"errors"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// claim inserts a row, which the two indexes of claims allow or not.
func (x *tx) claim(w messages.Write) (messages.Outcome, error) {
	var l messages.LiveCall
	var active, client bool
	var token int64
	found, err := x.get(`
		select `+who+`, a.disabled_at is null, k.id is not null,
			coalesce((select max(token) from calls where client_id = ?2), 0) + 1
		from accounts a left join clients k on k.id = ?2 where a.id = ?1`,
		[]any{w.User, w.Client}, append(whoTargets(&l), &active, &client, &token)...)
	switch {
	case err != nil:
		return messages.Outcome{}, err
	case !found:
		return messages.Outcome{Kind: messages.OutcomeNoUser}, nil
	case !active:
		// The call that is in progress goes on, and so may its own claim
		// be repeated; any other is refused.
		return x.refuse(w, messages.OutcomeNoUser)
	case !client:
		return x.refuse(w, messages.OutcomeNoClient)
	}
	l.Call = messages.Call{
		ID: w.Call, ClientID: w.Client, UserID: w.User, Token: token,
		StartedAt: timeOf(x.now), LeaseExpiresAt: timeOf(x.now + w.Lease.Microseconds()),
	}
	l.User.ID, l.Client.ID = w.User, w.Client
	rows, err := x.exec(`
		insert into claims (user_id, client_id, call_id, token, started_at, lease_expires_at, lease)
		values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		on conflict do nothing`,
		w.User, w.Client, w.Call, token, x.now, x.now+w.Lease.Microseconds(), w.Lease.Microseconds())
	if err != nil {
		return messages.Outcome{}, err
	}
	if rows == 0 {
		return x.refuse(w, messages.OutcomeClientHeld)
	}
	o := done(l.Call, l.User.Name())
	o.Event = persistence.StartedEvent(l)
	return o, nil
}

func done(call messages.Call, name string) messages.Outcome {
	return messages.Outcome{Kind: messages.OutcomeDone, Call: call, Holder: holder(call, name)}
}

func holder(call messages.Call, name string) messages.Caller {
	return messages.Caller{ID: call.UserID, Name: name, CallStartedAt: call.StartedAt}
}

// refuse says why a claim was not made. What the user is on comes first: their
// own call, whatever else is the matter, or this very call, which was begun
// when the answer to it was lost.
func (x *tx) refuse(w messages.Write, why messages.OutcomeKind) (messages.Outcome, error) {
	own, found, err := x.held(`c.user_id = ?1`, w.User)
	switch {
	case err != nil:
		return messages.Outcome{}, err
	case found && own.ID == w.Call && own.ClientID == w.Client:
		return done(own.Call, own.Name), nil
	case why != messages.OutcomeClientHeld:
		return messages.Outcome{Kind: why}, nil
	case found:
		return messages.Outcome{Kind: messages.OutcomeUserHeld, Call: own.Call}, nil
	}
	other, found, err := x.held(`c.client_id = ?1`, w.Client)
	if err == nil && !found {
		err = errors.New("a defect: an index refused a claim, and no other stands in its way")
	}
	return messages.Outcome{Kind: why, Call: other.Call, Holder: holder(other.Call, other.Name)}, err
}

// selectClaims reads claims with the names of their users, for scanClaim.
const selectClaims = `
	select c.call_id, c.client_id, c.user_id, c.token, c.started_at, c.lease_expires_at, c.lease,
		a.first_name, a.last_name, a.email
	from claims c join accounts a on a.id = c.user_id
	where `

// scanClaim scans a row of selectClaims.
func scanClaim(scan func(...any) error) (messages.HeldClaim, error) {
	var h messages.HeldClaim
	var started, expires, lease int64
	var first, last, email string
	err := scan(
		&h.ID, &h.ClientID, &h.UserID, &h.Token, &started, &expires, &lease, &first, &last, &email,
	)
	h.StartedAt, h.LeaseExpiresAt = timeOf(started), timeOf(expires)
	h.Lease = time.Duration(lease) * time.Microsecond
	h.Name = messages.DisplayName(first, last, email)
	return h, err
}

// held returns the one claim for which the condition is true of id.
func (x *tx) held(condition string, id any) (messages.HeldClaim, bool, error) {
	found := false
	h, err := scanClaim(func(dest ...any) (err error) {
		found, err = x.get(selectClaims+condition, []any{id}, dest...)
		return err
	})
	return h, found, err
}

// renew moves the end of a lease.
func (x *tx) renew(w messages.Write) (messages.Outcome, error) {
	call := messages.Call{ID: w.Call, UserID: w.User, Token: w.Token}
	var started int64
	expires := x.now + (w.Lease + w.Slack).Microseconds()
	found, err := x.get(`
		update claims set lease_expires_at = ?4, lease = ?5
		where user_id = ?1 and call_id = ?2 and token = ?3
		returning client_id, started_at`,
		[]any{w.User, w.Call, w.Token, expires, w.Lease.Microseconds()}, &call.ClientID, &started)
	if err != nil || !found {
		return messages.Outcome{Kind: messages.OutcomeCallOver}, err
	}
	call.StartedAt, call.LeaseExpiresAt = timeOf(started), timeOf(expires)
	return messages.Outcome{Kind: messages.OutcomeDone, Call: call}, nil
}
