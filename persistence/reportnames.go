package persistence

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// Recorded is what a store keeps of a call that was reported, under an id:
//
//	id                   source                occurred at
//	the report's call    its SourceKey         began: it began by the report
//	the report's call    its OverKey           over: nobody had heard of it
//	the report's call    a call of dibs        began: the report is about that call
//	NameKey of a call    the report's call     began: the last name the source gave it
//
// A call of dibs that stands there as a source was claimed by somebody, and not begun
// by a report. Releases before the third and fourth kind knew the first two as one
// (with the SourceKey), and take what has an entry for a call that never begins again.
type Recorded struct {
	Source     uuid.UUID
	OccurredAt time.Time
}

// ReportFacts is what a store has to know to tell whether a report is about a call that
// somebody claimed: read while nobody else can end that call.
type ReportFacts struct {
	Call  *messages.Call // that the user is on; nil: on none
	Begun bool           // that call stands under its own id: it began by a report
	Own   *Recorded      // of the report's call; nil: nothing
	Name  *Recorded      // under the NameKey of Call; nil: nothing
	Ended bool           // the report's call has ended, or the one that its reference claims
}

// Adoption is what becomes of a write that adopts a call, see messages.Write.Adopts.
type Adoption uint8

const (
	Adopt        Adoption = iota + 1 // record it, and carry the write out
	AdoptAgain                       // it stands there already: carry the write out
	AdoptOver                        // the call is over: OutcomeFoundOver, or carry the release out
	AdoptOldNews                     // OutcomeCallOver
	AdoptBegun                       // OutcomeNotSuperseded
	AdoptGone                        // OutcomeCallGone
)

// AdoptionOf decides about such a write.
func AdoptionOf(w *messages.Write, f ReportFacts) Adoption {
	switch {
	case f.Call == nil || f.Call.ID != w.Call || f.Call.Token != w.Token:
		return AdoptGone
	case f.Ended:
		return AdoptOldNews
	case f.Own == nil && f.Begun:
		return AdoptBegun
	case f.Own == nil && w.Kind != messages.WriteRelease:
		return Adopt
	case f.Own == nil:
		return AdoptOldNews // it was told to be over, and that is forgotten by now
	case f.Own.Source == w.Call.UUID:
		return AdoptAgain
	case f.Own.Source == w.Report.OverKey() && !f.Begun && f.couldEnd(f.Own.OccurredAt) && f.lastName(w.Report):
		return AdoptOver
	}
	return AdoptOldNews
}

// couldEnd reports whether what happened then can have been the end of the call, see
// messages.Report.Since.
func (f *ReportFacts) couldEnd(at time.Time) bool {
	return messages.Report{OccurredAt: at}.Since(*f.Call)
}

// lastName reports whether no later name of the call is known from the source.
func (f *ReportFacts) lastName(r *messages.Report) bool {
	return f.Name == nil || !r.OccurredAt.Before(f.Name.OccurredAt)
}

// EndsNamed reports whether a reported end is that of the call which the user is on, by a
// name that the source gave it. A source may have given several (a second leg, a line that
// broke and was dialled again): only the last one counts.
func EndsNamed(w *messages.Write, f ReportFacts) bool {
	return f.Call != nil && f.Own != nil && f.Own.Source == f.Call.ID.UUID &&
		f.Name != nil && f.Name.Source == w.Report.Call().UUID &&
		(w.Client.IsZero() || w.Client == f.Call.ClientID) && f.couldEnd(w.Report.OccurredAt)
}

// Supersedes reports whether the source of a start, which is no old news, has reported the
// call in the way to have begun earlier: begun is what stands under the call's id, name
// under its NameKey. Of one that somebody claimed it must be certain that it began earlier.
func Supersedes(r *messages.Report, call messages.Call, begun, name *Recorded) bool {
	if begun != nil {
		return begun.Source == r.SourceKey() && begun.OccurredAt.Before(r.OccurredAt)
	}
	return name != nil && name.OccurredAt.Before(r.OccurredAt) && r.Since(call)
}
