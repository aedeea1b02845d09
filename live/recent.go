package live

import "github.com/dibs-calls/dibs/messages"

// recent remembers of clients up to which fencing token their calls are over,
// so that a start which comes late does not bring its call back. It is bounded:
// two generations, the older of which is forgotten when the younger is full. It
// remembers at least the last size clients, at most twice as many.
type recent struct {
	size       int
	young, old map[messages.ClientID]int64
}

func newRecent(size int) recent {
	return recent{size: size, young: map[messages.ClientID]int64{}, old: map[messages.ClientID]int64{}}
}

// token is the highest token of the client's calls that are over; 0: not known.
func (r *recent) token(c messages.ClientID) int64 { return max(r.young[c], r.old[c]) }

// note remembers that the client's calls up to token are over.
func (r *recent) note(c messages.ClientID, token int64) {
	young, known := r.young[c]
	if known && young >= token {
		return // most ends come twice: from this node, and from the stream
	}
	r.young[c] = max(token, young, r.old[c])
	if len(r.young) >= r.size {
		r.old, r.young = r.young, make(map[messages.ClientID]int64, r.size)
	}
}

// forget is for a client of whom the truth says otherwise.
func (r *recent) forget(c messages.ClientID) {
	delete(r.young, c)
	delete(r.old, c)
}
