package httpapi

import (
	"sync"

	"github.com/dibs-calls/dibs/messages"
)

const (
	// smallAnswer is how many bytes an answer may hold without being counted, beside the
	// window that a page is written from. A page of 50 rows is a third of it, mostly. How
	// many there are is bounded by admission, and for one caller by maxLists.
	smallAnswer = 64 << 10
	// maxLists is how many lists one caller may be given at a time.
	maxLists = 64
	// largeAnswers is what all large answers of a process may hold at a time, in bytes,
	// and largeAnswersEach those of one caller: the largest page that there is, a
	// thousand clients with all the notes and attributes that they may have, is 33 MiB.
	largeAnswers     = 128 << 20
	largeAnswersEach = 48 << 20
	// savedClients is the same for answers to who made or changed a client, and longestClient
	// what each of them may come to. They are counted beforehand, for what was done
	// must be answered, and apart, so that readers cannot keep people from saving.
	savedClients     = 64 << 20
	savedClientsEach = 32 << 20
	longestClient    = 128 << 10
	// larderStep is how much is taken at a time, so that a row costs no lock.
	larderStep = 64 << 10
)

// larder is the memory for answers that are large, or that many are being given of, in
// all and for each caller. Who reads slowly holds theirs until the server loses
// patience. Nobody waits for room: whoever does would hold a connection to the store.
type larder struct {
	all, each int64  // bytes
	lists     int    // of each
	own, many string // sentences for a person: why a caller is refused for theirs, and for everybody's

	mu      sync.Mutex
	held    int64
	callers map[string]*portion // by Principal.Caller()
}

// portion is what one caller holds. It is guarded by the larder's lock.
type portion struct {
	lists int
	held  int64
}

// newLarder is that of what is read.
func newLarder() *larder {
	return &larder{all: largeAnswers, each: largeAnswersEach, lists: maxLists, callers: map[string]*portion{},
		own:  "You are reading too many large pages at once. Please wait for the others to end, or ask for fewer rows (limit).",
		many: "Too many large pages are being read. Please try again, or ask for fewer rows (limit)."}
}

// newSaved is that of answers to who made or changed a client.
func newSaved() *larder {
	return &larder{all: savedClients, each: savedClientsEach, callers: map[string]*portion{},
		own:  "You are changing too many clients at once; nothing was done. Please wait for the others to end.",
		many: "Too many clients are being changed; nothing was done. Please try again."}
}

// helping is what one answer holds of a larder. It belongs to the goroutine that serves
// the request; its zero value holds nothing.
type helping struct {
	from   *larder
	caller string
	list   bool
	used   int64 // bytes, the first smallAnswer too
	taken  int64 // bytes that are counted
}

// begin takes a place for a list. done must be called, also after an error.
func (h *helping) begin(from *larder, caller string) error {
	from.mu.Lock()
	defer from.mu.Unlock()
	mine := from.of(caller)
	if mine.lists >= from.lists {
		from.forget(caller, mine)
		return &problem{Code: messages.CodeRateLimited,
			Sentence: "You are reading lists too many times at once. Please wait for the others to end."}
	}
	mine.lists++
	h.from, h.caller, h.list = from, caller, true
	return nil
}

// take counts bytes that the answer is about to hold.
func (h *helping) take(bytes int) error {
	h.used += int64(bytes)
	more := h.used - smallAnswer - h.taken
	if more <= 0 {
		return nil
	}
	more = (more + larderStep - 1) / larderStep * larderStep
	h.from.mu.Lock()
	defer h.from.mu.Unlock()
	mine := h.from.of(h.caller)
	room := h.from.all
	if mine.held+more > room/32 {
		room -= room / 8 // the rest is for those who hold little
	}
	switch {
	case mine.held+more > h.from.each:
		h.from.forget(h.caller, mine)
		return &problem{Code: messages.CodeRateLimited, Sentence: h.from.own}
	case h.from.held+more > room:
		h.from.forget(h.caller, mine)
		return &problem{Code: messages.CodeOverloaded, Sentence: h.from.many}
	}
	mine.held += more
	h.from.held += more
	h.taken += more
	return nil
}

// done gives back what the answer held.
func (h *helping) done() {
	if h.from == nil || !h.list && h.taken == 0 {
		return
	}
	h.from.mu.Lock()
	defer h.from.mu.Unlock()
	mine := h.from.of(h.caller)
	if h.list {
		mine.lists--
	}
	mine.held -= h.taken
	h.from.held -= h.taken
	h.from.forget(h.caller, mine)
	*h = helping{}
}

// of is what a caller holds. The lock is held.
func (l *larder) of(caller string) *portion {
	mine := l.callers[caller]
	if mine == nil {
		mine = &portion{}
		l.callers[caller] = mine
	}
	return mine
}

// forget drops callers who hold nothing. The lock is held.
func (l *larder) forget(caller string, mine *portion) {
	if mine.lists == 0 && mine.held == 0 {
		delete(l.callers, caller)
	}
}

// holding is how many bytes are held.
func (l *larder) holding() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}
