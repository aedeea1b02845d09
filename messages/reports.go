package messages

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
)

// A telephony service (a PBX, a predictive dialer) does not ask: it reports
// what has happened already. Its events may come twice, late, or in the wrong
// order.

// Report names the event of a telephony service behind a command: a CloudEvent
// is one event by its source and id, however often it comes.
type Report struct {
	Source  string // who reports; not empty
	ID      string // of the event, unique for its source; not empty
	CallRef string // how the source names the call; not empty
	// OccurredAt is when it happened, by the source's clock. It is compared
	// with other times of the same source, and with one thing else: see
	// [Report.Since].
	OccurredAt time.Time
}

// EventKey names the event in the store: it takes effect once (I8).
func (r Report) EventKey() uuid.UUID { return digest("event", r.Source, r.ID) }

// SourceKey names the source in the store.
func (r Report) SourceKey() uuid.UUID { return digest("source", r.Source, "") }

// OverKey stands for the source in the record of a call that was reported to be over
// before anybody had heard of it.
func (r Report) OverKey() uuid.UUID { return digest("over", r.Source, "") }

// NameKey stands, in the record of the calls that were reported, for what the source
// calls a call that somebody claimed.
func (r Report) NameKey(call CallID) CallID { return CallID{digest("name", r.Source, call.String())} }

// clockSlack is how much earlier than a call something that belongs to it may seem to
// have happened: sources give whole seconds, and clocks that are kept in step differ
// by less than another one.
const clockSlack = 2 * time.Second

// Since reports whether it happened after the call had begun, as far as the clock of
// the source can be believed. Nothing else tells what belongs to a call that somebody
// claimed from what belongs to an earlier one between the same two; in doubt it says no.
func (r Report) Since(call Call) bool { return !r.OccurredAt.Before(call.StartedAt.Add(-clockSlack)) }

func digest(kind, a, b string) uuid.UUID {
	sum := sha256.Sum256([]byte(kind + "\x00" + a + "\x00" + b))
	return uuid.UUID(sum[:16])
}

// reportedCalls is the name space of calls that begin by a report (RFC 9562,
// section 5.5).
var reportedCalls = uuid.MustParse("0d1b5ca1-1ab0-5e8f-9c0f-6d1b5ca11ab0") //nolint:gochecknoglobals // never changed

// Call is the id that the call has, or would have, if it begins by a report: it
// follows from the source and the reference, so that all events of a call name
// the same one without anybody keeping a list, and no source can give a call the
// id of another one. See [Report.Claimed] for the exception.
func (r Report) Call() CallID {
	ref := r.CallRef
	if claimed, ok := r.Claimed(); ok {
		ref = claimed.String() // in one spelling
	}
	return CallID{uuid.NewSHA1(reportedCalls, []byte(r.Source+"\x00"+ref))}
}

// Claimed is the call whose id in dibs the reference may be, if it is a UUID: of
// one that the service has claimed by a request, and reports now. It is that call
// only if the user who is named is on it, or if it has ended; else the reference
// says no more than any other text.
func (r Report) Claimed() (CallID, bool) {
	id, err := ParseID(r.CallRef)
	return CallID{id}, err == nil && id != uuid.Nil
}

// Means reports whether a call of the user who is named is the one that the report
// is about.
func (r Report) Means(call CallID) bool {
	claimed, ok := r.Claimed()
	return call == r.Call() || ok && call == claimed
}

// ReportStarted says that User is on a call with Client, which began elsewhere.
//
//   - For the call that the user is on it renews the lease, if Lease says so.
//   - For one that is over, or was reported before, it does nothing.
//   - If the user is on a call with the same client that no report began, it is that
//     call which the report is about: somebody claimed it before they dialled. Nothing
//     begins. The reference is another name of the call from then on, by which the
//     source renews and ends it, and a later start of the source supersedes it.
//   - If the user is on another call that the same source reported to have
//     begun earlier, that one has ended without our having heard: it ends with
//     ReasonSuperseded, and the new one begins. A report of a call that is over,
//     or was reported before, ends nothing.
//   - If anything else stands in the way, nothing changes and an
//     EventCallRefused is published.
//
// An answer with CodeUserNotFound or CodeClientNotFound leaves nothing behind:
// the report may be made again when they are there.
type ReportStarted struct {
	User   UserID
	Client ClientID
	Call   CallID        // Report.Call()
	Lease  time.Duration // zero: DefaultLease, and no renewal
	Report Report
}

// ReportEnded says that Call, which User was on, is over. If it never began
// here, it never will. The call of somebody else does not end by it; one that User
// claimed, and the source has reported by this name, does if this happened after it
// had begun ([Report.Since]) and is said of the last name that the source gave it.
type ReportEnded struct {
	User        UserID
	Client      ClientID // zero: not known
	Call        CallID   // Report.Call()
	Disposition string
	Report      Report
}

// Refusal is what the source of a report is told when a call that it reported
// was refused: somebody is being called twice, and it can hang up.
type Refusal struct {
	Code    Code   `json:"code"` // client_being_called, user_on_call
	Source  string `json:"source"`
	ID      string `json:"id"` // of the event that was refused
	CallRef string `json:"call_ref"`
	// Caller is who is calling the client (client_being_called).
	Caller *Caller `json:"caller,omitempty"`
	// Call is what the user is on (user_on_call).
	Call *Call `json:"call,omitempty"`
}

// PhoneQuery asks which client a number (E.164) belongs to, for a call of User.
type PhoneQuery struct {
	User  UserID
	Phone string
}

// PhoneMatch answers a [PhoneQuery].
type PhoneMatch struct {
	// Clients is how many clients have the number; 2 stands for more.
	Clients int
	// Client is the one that is meant: the only one, or of several the one that
	// the user is in a call with. Zero: it cannot be told.
	Client ClientID
}
