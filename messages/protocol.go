package messages

// What user actors and client actors say to each other. Between any two
// actors messages arrive in the order in which they were sent.

// ForClient is a message to a client actor: [Reserve], [Withdraw], [Confirm], [Lost],
// [Released], [HolderSays].
type ForClient interface{ ToClient() ClientID }

// ForUser is a message to a user actor: [Reserved], [Refused], [AskHolder].
type ForUser interface{ ToUser() UserID }

// Reserve asks a client actor to keep the client for this user's claim. The
// answer is [Reserved] or [Refused]; it may take as long as another user's
// commit does.
type Reserve struct {
	Client ClientID
	User   UserID
	Call   CallID
}

// Withdraw takes a [Reserve] back, granted or not: the claim failed, or
// nobody wants it any more. Doubt says that the claim may have been committed
// all the same, or that the client may not exist: what the client actor knew
// is worth nothing now.
type Withdraw struct {
	Client ClientID
	Call   CallID
	Doubt  bool
}

// Confirm tells a client actor that the claim it reserved for is committed.
type Confirm struct {
	Call Call
	Name string // of the user, for refusals
}

// Lost tells a client actor that the store refused Call, because Holder's
// claim was there: the actor had missed it.
type Lost struct {
	Client ClientID
	Call   CallID
	Holder HeldClaim
}

// Released tells a client actor that a call is over, and that this is
// committed.
type Released struct {
	Client ClientID
	Call   CallID
}

// Reserved grants a [Reserve].
type Reserved struct {
	User   UserID
	Call   CallID
	Client ClientID
}

// Refused answers a [Reserve]: Caller's call, which is committed, stands in
// the way.
type Refused struct {
	User   UserID
	Call   CallID
	Caller *Caller // shared by all who are told; never changed
}

// AskHolder asks a user actor whether Call is still in progress. The answer
// is [HolderSays]. It is given from any state, at once, except that it waits
// for a commit that is under way for this very call, and for a reload: so
// nobody waits in a circle.
type AskHolder struct {
	User   UserID
	Client ClientID
	Call   CallID
	Serial uint64 // tells the answers to repeated questions apart
}

// HolderSays answers [AskHolder].
type HolderSays struct {
	Client ClientID
	Call   CallID
	Serial uint64 // of the question
	Is     Standing
	Held   HeldClaim // with StandingOn: the call
}

// Standing is what a user actor knows of a call of its own.
type Standing uint8

const (
	// StandingUnsure: the user actor cannot tell, because the store cannot be
	// read. The store's index decides then.
	StandingUnsure Standing = iota
	// StandingOn: committed, and in progress.
	StandingOn
	// StandingOff: over, or never committed, and it never will be.
	StandingOff
)

func (s Standing) String() string {
	return [...]string{"unsure", "on", "off"}[s]
}

// ToClient implements [ForClient].
func (m Reserve) ToClient() ClientID { return m.Client }

// ToClient implements [ForClient].
func (m Withdraw) ToClient() ClientID { return m.Client }

// ToClient implements [ForClient].
func (m Confirm) ToClient() ClientID { return m.Call.ClientID }

// ToClient implements [ForClient].
func (m Lost) ToClient() ClientID { return m.Client }

// ToClient implements [ForClient].
func (m Released) ToClient() ClientID { return m.Client }

// ToClient implements [ForClient].
func (m HolderSays) ToClient() ClientID { return m.Client }

// ToUser implements [ForUser].
func (m Reserved) ToUser() UserID { return m.User }

// ToUser implements [ForUser].
func (m Refused) ToUser() UserID { return m.User }

// ToUser implements [ForUser].
func (m AskHolder) ToUser() UserID { return m.User }
