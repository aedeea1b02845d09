package messages

import "time"

// Patient is what a context may be besides, so that whoever waits for an answer on behalf
// of a caller may do so with a timer that was used before: for a context of the standard
// library to end by itself costs it half a dozen allocations, and nearly every caller is
// answered long before.
type Patient interface {
	// Ends returns a channel that is closed when the caller has gone (nil: that is never
	// known), and when the caller stops waiting. Both together are when the context ends,
	// as long as the request is being served.
	Ends() (gone <-chan struct{}, until time.Time)
}
