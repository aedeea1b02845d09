package actors

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is where the messages of one actor wait for a worker, in the order in which
// they came, those of protoactor itself first.
//
// It does what protoactor's own mailbox does, except that a message allocates nothing:
// there, each is a node of a list, and each waking of an actor a function value. Together
// that was one in twelve of all allocations of a call.
type mailbox struct {
	workers *workers
	invoker actor.MessageInvoker // set before there are messages
	keeps   int                  // how many places its queues keep when they are empty

	mu        sync.Mutex
	system    queue // guarded by mu
	user      queue // guarded by mu
	running   bool  // guarded by mu: a worker has this mailbox, or is to have it
	suspended bool  // guarded by mu: the actor failed, and what becomes of it is not decided
}

var _ actor.Mailbox = (*mailbox)(nil)

// mailboxes makes mailboxes that keep so many places.
func (w *workers) mailboxes(keeps int) actor.MailboxProducer {
	return func() actor.Mailbox { return &mailbox{workers: w, keeps: keeps} }
}

// RegisterHandlers implements [actor.Mailbox]. What runs it are its workers.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start implements [actor.Mailbox].
func (*mailbox) Start() {}

// PostUserMessage implements [actor.Mailbox].
func (m *mailbox) PostUserMessage(message any) { m.post(&m.user, message) }

// PostSystemMessage implements [actor.Mailbox].
func (m *mailbox) PostSystemMessage(message any) { m.post(&m.system, message) }

// UserMessageCount implements [actor.Mailbox].
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.user.len()
}

func (m *mailbox) post(to *queue, message any) {
	m.mu.Lock()
	to.push(message)
	idle := !m.running
	m.running = true
	m.mu.Unlock()
	if idle {
		m.workers.schedule(m)
	}
}

// next returns the next message to be handled. If there is none, the mailbox does not run
// any more: whoever posts one has it run again.
func (m *mailbox) next() (message any, system, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.system.len() > 0 {
		message = m.system.pop(m.keeps)
		switch message.(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
		case *actor.ResumeMailbox:
			m.suspended = false
		default:
			return message, true, true
		}
	}
	if !m.suspended && m.user.len() > 0 {
		return m.user.pop(m.keeps), false, true
	}
	m.running = false
	return nil, false, false
}

// run handles messages until none is left. One worker at a time runs it.
func (m *mailbox) run() {
	for m.handle() {
	}
}

// handle does so, unless the actor panics. Then it reports true: what is to become of the
// actor has been asked, and the answer will be among the messages.
func (m *mailbox) handle() (failed bool) {
	var message any
	defer func() {
		if r := recover(); r != nil {
			m.invoker.EscalateFailure(r, message)
			failed = true
		}
	}()
	for n := 1; ; n++ {
		var system, ok bool
		message, system, ok = m.next()
		switch {
		case !ok:
			return false
		case system:
			m.invoker.InvokeSystemMessage(message)
		default:
			m.invoker.InvokeUserMessage(message)
		}
		if n%throughput == 0 {
			runtime.Gosched()
		}
	}
}

// queue is messages in the order in which they came.
type queue struct {
	all   []any // the first taken of them are gone
	taken int
}

const (
	// fewKept is how many places the empty queue of one user or client keeps. Few of them
	// ever have more messages, and most have none for most of the time.
	fewKept = 4
	// manyKept is the same for the journal, of which there is one: it has hundreds of
	// messages for each batch, again and again.
	manyKept = 4096
)

func (q *queue) len() int { return len(q.all) - q.taken }

func (q *queue) push(message any) {
	if len(q.all) == cap(q.all) && q.taken > len(q.all)/2 {
		// It never becomes empty: the places of those that are gone are used again.
		n := copy(q.all, q.all[q.taken:])
		clear(q.all[n:])
		q.all, q.taken = q.all[:n], 0
	}
	q.all = append(q.all, message)
}

// pop takes the first message of a queue that is not empty. If none is left, it gives up
// its places, should they be more than keep.
func (q *queue) pop(keep int) any {
	message := q.all[q.taken]
	q.all[q.taken] = nil
	q.taken++
	if q.taken == len(q.all) {
		q.all, q.taken = q.all[:0], 0
		if cap(q.all) > keep {
			q.all = nil
		}
	}
	return message
}
