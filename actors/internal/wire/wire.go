// Package wire is how nodes speak to each other: commands and their answers, and what
// user actors and client actors say.
//
// A message is an envelope in MessagePack: the version of the protocol, the kind of the
// message, how much time there is for it, and the message itself, a map by the names of
// its fields. No clock travels: a deadline is a duration from the moment at which the
// message arrives.
//
// # Versions
//
//  1. The first.
//  2. [StartAgain].
//
// # Rolling upgrades
//
// Nodes of two versions are in one cluster while it is updated. So:
//
//   - A field may be added; its zero value means what was meant before. Who does not
//     know it skips it. None changes its name, its type or its meaning: the golden bytes
//     in testdata are never regenerated for a version that was released, only added to.
//   - A kind may be added together with a new [Version]. A node says in its membership
//     which version it speaks, understands all before, and is sent nothing newer
//     ([Encode] takes what both speak).
//   - What cannot be understood is answered like a request for an actor that lives
//     elsewhere: nothing was done, ask again.
//   - A kind is removed one release after nobody sends it.
package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/dibs-calls/dibs/messages"
)

// Version is the highest version of the protocol that this program speaks.
const Version = 2

// Check asks a client actor whether its client can be called.
type Check struct{ Client messages.ClientID }

// Forget tells a client actor that its client was deleted.
type Forget struct{ Client messages.ClientID }

// Again tells a user actor that the client actor it waits for lives elsewhere now.
type Again struct {
	User messages.UserID
	Call messages.CallID
}

// StartAgain is a start of which an earlier try may have had its effect and is over: it
// was lost with the node that carried it out. Whoever would take it for a start would
// begin a call a second time, so it is a kind of its own.
type StartAgain struct{ Start messages.StartCall }

// kind is the number of a kind of message, for ever.
type kind uint8

// kinds lists all of them, with the version since which each is there.
func kinds() map[kind]struct {
	since int
	empty any
} {
	type k = struct {
		since int
		empty any
	}
	return map[kind]k{
		1: {1, messages.StartCall{}}, 2: {1, messages.EndCall{}}, 3: {1, messages.SaveLog{}},
		4: {1, messages.RenewCall{}}, 5: {1, messages.ReportStarted{}}, 6: {1, messages.ReportEnded{}},
		7: {1, Check{}}, 8: {1, Forget{}}, 9: {1, messages.Answer{}}, 10: {1, messages.Availability{}},
		11: {2, StartAgain{}},
		20: {1, messages.Reserve{}}, 21: {1, messages.Withdraw{}}, 22: {1, messages.Confirm{}},
		23: {1, messages.Lost{}}, 24: {1, messages.Released{}}, 25: {1, messages.HolderSays{}},
		30: {1, messages.Reserved{}}, 31: {1, messages.Refused{}}, 32: {1, messages.AskHolder{}},
		33: {1, Again{}},
	}
}

// Codec encodes and decodes. It is safe for concurrent use.
type Codec struct {
	types map[kind]reflect.Type
	kinds map[reflect.Type]kind
	since map[kind]int
}

// NewCodec returns a codec.
func NewCodec() *Codec {
	c := &Codec{types: map[kind]reflect.Type{}, kinds: map[reflect.Type]kind{}, since: map[kind]int{}}
	for k, v := range kinds() {
		t := reflect.TypeOf(v.empty)
		c.types[k], c.kinds[t], c.since[k] = t, k, v.since
	}
	return c
}

// envelope is around every message. Its names are part of the protocol.
type envelope struct {
	Version int                `msgpack:"v"`
	Kind    kind               `msgpack:"k"`
	Within  int64              `msgpack:"w,omitempty"` // milliseconds
	Body    msgpack.RawMessage `msgpack:"b"`
}

// ErrNotUnderstood says that a message is of a later version, or no message at all.
var ErrNotUnderstood = errors.New("the message cannot be understood")

// Encode returns the bytes of m for a node that speaks version; within is how much time
// there is for it, zero: it does not say.
func (c *Codec) Encode(m any, version int, within time.Duration) ([]byte, error) {
	k, ok := c.kinds[reflect.TypeOf(m)]
	if !ok {
		return nil, fmt.Errorf("%T is not spoken between nodes", m)
	}
	if c.since[k] > version {
		return nil, fmt.Errorf("%w: %T is spoken since version %d, and the other node speaks %d", ErrNotUnderstood, m, c.since[k], version)
	}
	var body bytes.Buffer
	e := msgpack.NewEncoder(&body)
	e.UseCompactInts(true)
	e.SetOmitEmpty(true)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	return msgpack.Marshal(&envelope{
		Version: min(version, Version), Kind: k, Within: within.Milliseconds(), Body: body.Bytes(),
	})
}

// About is what an envelope says of its message.
type About struct {
	Version int           // that the sender took; an answer takes the same
	Within  time.Duration // how much time there is for it; zero: it does not say
}

// Decode returns the message in b, a value of one of the kinds.
func (c *Codec) Decode(b []byte) (m any, about About, err error) {
	defer func() {
		if r := recover(); r != nil { // nothing that a network brings may stop a node
			err = fmt.Errorf("%w: %v", ErrNotUnderstood, r)
		}
	}()
	var e envelope
	if err := msgpack.Unmarshal(b, &e); err != nil {
		return nil, About{}, fmt.Errorf("%w: %w", ErrNotUnderstood, err)
	}
	t, ok := c.types[e.Kind]
	if !ok || e.Version > Version {
		return nil, About{}, fmt.Errorf("%w: kind %d of version %d", ErrNotUnderstood, e.Kind, e.Version)
	}
	v := reflect.New(t)
	if err := msgpack.Unmarshal(e.Body, v.Interface()); err != nil {
		return nil, About{}, fmt.Errorf("%w: %w", ErrNotUnderstood, err)
	}
	m = inUTC(v.Elem().Interface())
	return m, About{Version: e.Version, Within: time.Duration(e.Within) * time.Millisecond}, nil
}
