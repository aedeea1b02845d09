package wire

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Actions of a [Change].
const (
	ActionStart = "start_call"
	ActionEnd   = "end_call"
	ActionRenew = "renew_call"
)

// Change is a request to start, end or renew a call, for all of them. An id
// counts more than an address or a number beside it.
type Change struct {
	Action       string `json:"action"`
	UserID       string `json:"user_id"`
	UserEmail    string `json:"user_email"` // instead of UserID
	ClientID     string `json:"client_id"`
	ClientPhone  string `json:"client_phone"` // instead of ClientID
	CallID       string `json:"call_id"`
	Token        *int64 `json:"token"`
	LeaseSeconds *int64 `json:"lease_seconds"`
	Disposition  string `json:"disposition"`
	Notes        string `json:"notes"`
}

// start is the command without who, when and its idempotency key, and without
// the client if that is named by its number.
func (in *Change) start() (cmd messages.StartCall, err error) {
	if in.ClientID != "" || in.ClientPhone == "" {
		if cmd.Client.UUID, err = ParseID("client_id", in.ClientID); err != nil {
			return cmd, err
		}
	}
	cmd.Lease, err = in.lease()
	return cmd, err
}

func (in *Change) end() (cmd messages.EndCall, err error) {
	cmd.Reason = messages.ReasonCompleted
	if in.CallID != "" {
		if cmd.Call.UUID, err = ParseID("call_id", in.CallID); err != nil {
			return cmd, err
		}
	}
	if cmd.Token, err = in.fence(); err != nil {
		return cmd, err
	}
	if cmd.Disposition, err = Text("disposition", in.Disposition, MaxDisposition); err != nil {
		return cmd, err
	}
	cmd.Notes, err = Text("notes", in.Notes, MaxNotes)
	return cmd, err
}

// renew asks for both names of the call: a renewal by somebody who does not
// know the token is one by somebody who lost the call (I6).
func (in *Change) renew() (cmd messages.RenewCall, err error) {
	if cmd.Call.UUID, err = ParseID("call_id", in.CallID); err != nil {
		return cmd, err
	}
	if cmd.Token, err = in.fence(); err != nil {
		return cmd, err
	}
	if cmd.Token == 0 {
		return cmd, BadRequest("token is required.")
	}
	cmd.Lease, err = in.lease()
	return cmd, err
}

// lease is how long the call may go on without renewal; zero when not asked.
func (in *Change) lease() (time.Duration, error) {
	if in.LeaseSeconds == nil {
		return 0, nil
	}
	const least, most = int64(messages.MinLease / time.Second), int64(messages.MaxLease / time.Second)
	if *in.LeaseSeconds < least || *in.LeaseSeconds > most {
		return 0, BadRequest("lease_seconds must be a whole number from %d to %d.", least, most)
	}
	return time.Duration(*in.LeaseSeconds) * time.Second, nil
}

// fence is the fencing token; zero when none was given.
func (in *Change) fence() (int64, error) {
	if in.Token == nil {
		return 0, nil
	}
	if *in.Token < 1 {
		return 0, BadRequest("token must be a whole number from 1 on.")
	}
	return *in.Token, nil
}
