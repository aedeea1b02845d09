package admission

import "github.com/dibs-calls/dibs/admission/limit"

// Class says what a request is, for whether it is admitted.
type Class uint8

const (
	// Aside: what people do beside calls. It has places of its own.
	Aside Class = iota
	// Start: a start of a call.
	Start
	// End: an end or a renewal, and whatever else makes room or must not be missed.
	// Such requests are refused last.
	End
	// Part: what is done for a request before it is known what it is, such as finding
	// out who asks. It is refused only where there is no place at all.
	Part
	// Ask: a question about calls. It waits for nobody's commit, but perhaps for a slow
	// reader of its answer, so it has places of its own.
	Ask
	classes
)

// ahead is how many times as much as a start may an end find in flight; at least
// twice a burst: when the limit has just been lowered, all those are in flight that
// were admitted before, and each will have its end.
const ahead = 4

// load is what is in flight when a request comes, itself included.
type load struct {
	all    int // requests of every class
	alike  int // those that it shares places with: starts and ends, or what is aside
	caller int // of these, those of its caller
}

// verdict is what becomes of a request.
type verdict uint8

const (
	admitted verdict = iota
	late             // it and those before it would take too long
	full             // there is no place at all
	verdicts
)

// judge says whether a request is admitted at a limit of places, where most are admitted at all.
func judge(c Class, l load, places, most int) verdict {
	if l.all > most {
		return full
	}
	room := places
	if (c == Start || c == Aside) && l.all > most-most/4 {
		return late // the rest is for ends, and for finding out who asks
	}
	switch c {
	case Start:
		if l.caller <= places/8 {
			room += places / 4 // whoever asks little comes before who asks much
		}
	case End:
		room = max(ahead*room, 2*limit.Rest)
	case Ask:
		room = max(1, most/2)
	case Aside:
		room = max(limit.Floor, places) / 2
	default:
		return admitted
	}
	if l.alike > room {
		return late
	}
	return admitted
}
