package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/script"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// request is one caller's question and what came back.
type request struct {
	name   string
	node   int // where it is asked
	user   messages.UserID
	client messages.ClientID
	do     any // a command, or nil for a question about availability
	key    string

	asked, answered int // steps
	gaveUp          bool
	doubt           bool // an earlier try may have had its effect
	again           bool // the next try finds out what became of the one before
	answer          messages.Answer
	availability    messages.Availability
}

// userActor and clientActor are what the shells are in the real engine.
type userActor struct {
	state       user.State
	incarnation int  // for reads
	writing     bool // across incarnations
}

type clientActor struct {
	state       client.State
	incarnation uint32
}

// mode is what kind of world it is.
type mode struct {
	faults, mailboxes bool
	nodes             int
	distant           bool // each actor lives on one node, and messages travel between them
}

// link carries messages from one actor to another in order.
type link struct {
	from, to string
	loose    bool // no order; see travel
}

// write is one on its way to the store.
type write struct {
	user  int
	write messages.Write
}

// read is a load or a look-up on its way to the store.
type read struct {
	user, client int // one is -1
	incarnation  int
	serial       uint64
	seek         messages.CallID // zero: the claim is read
}

type reminder struct {
	client int
	user   int // if client is -1
	again  messages.CallID
	due    time.Time
}

// world is the whole of it. Nothing in it runs by itself: every step is one
// event, chosen by the seed.
type world struct {
	t      testing.TB
	rng    *rand.Rand
	faults bool // faults happen now
	faulty bool // they did at some time
	// mailboxes says that whatever is sent is in the receiver's mailbox at
	// once, as in one process; else only the order between two actors holds,
	// as between nodes.
	mailboxes bool
	distant   bool // see mode
	step      int
	now       time.Time

	// The actors of all nodes, those of the first node first. Every node has
	// an actor for everybody; all nodes share the store.
	users     []*userActor
	clients   []*clientActor
	people    int // users of a node
	leads     int // clients of a node
	nodes     int
	links     map[link][]any
	order     []link // of those that carry something, so that choosing is repeatable
	writes    []write
	reads     []read
	reminders []reminder
	doubts    []messages.Write // reported as unknown, and still being committed
	requests  []*request
	calls     int
	glances   int // requests answered from what actors show
	store     *store
}

func newWorld(t testing.TB, seed uint64, users, clients int, m mode) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), faults: m.faults, faulty: m.faults, mailboxes: m.mailboxes, now: script.Epoch,
		links: map[link][]any{}, store: newStore(),
	}
	w.people, w.leads, w.nodes, w.distant = users, clients, m.nodes, m.distant
	shared := m.nodes > 1
	for i := range users * m.nodes {
		w.users = append(w.users, &userActor{state: user.State{User: script.User(i % users), Shared: shared, Distant: m.distant}})
	}
	for i := range clients * m.nodes {
		w.clients = append(w.clients, &clientActor{state: client.New(script.Client(i%clients), 0, shared)})
	}
	return w
}

func number(id uuid.UUID) int { return int(id[14])<<8 | int(id[15]) }

// userAt and clientAt name the actors of a node.
func (w *world) userAt(node int, u messages.UserID) string {
	return fmt.Sprintf("u%d", node*w.people+number(u.UUID))
}

func (w *world) clientAt(node int, c messages.ClientID) string {
	return fmt.Sprintf("c%d", node*w.leads+number(c.UUID))
}

func (w *world) send(from, to string, m any) {
	l := link{from: from, to: to}
	if w.mailboxes {
		l.from = "anybody"
	}
	w.enqueue(l, m)
}

func (w *world) enqueue(l link, m any) {
	if len(w.links[l]) == 0 {
		w.order = append(w.order, l)
	}
	w.links[l] = append(w.links[l], m)
}

// deliver hands over the first message of a random link.
func (w *world) deliver() {
	i := w.rng.IntN(len(w.order))
	l := w.order[i]
	next := 0
	if l.loose {
		next = w.rng.IntN(len(w.links[l]))
	}
	m := w.links[l][next]
	w.links[l] = slices.Delete(w.links[l], next, next+1)
	if len(w.links[l]) == 0 {
		w.order[i] = w.order[len(w.order)-1]
		w.order = w.order[:len(w.order)-1]
	}
	var n int
	if _, err := fmt.Sscanf(l.to[1:], "%d", &n); err != nil {
		w.t.Fatal(err)
	}
	if l.to[0] == 'u' {
		w.stepUser(n, m)
	} else {
		w.stepClient(n, m)
	}
}

func (w *world) stepUser(n int, m user.Message) {
	u := w.users[n]
	var effects []user.Effect
	u.state, effects = user.Step(u.state, w.now, m, nil)
	me := fmt.Sprintf("u%d", n)
	for _, e := range effects {
		switch e := e.(type) {
		case user.Load:
			w.reads = append(w.reads, read{user: n, client: -1, incarnation: u.incarnation})
		case user.Seek:
			w.reads = append(w.reads, read{user: n, client: -1, incarnation: u.incarnation, seek: e.Call})
		case user.Commit:
			u.writing = true
			w.writes = append(w.writes, write{user: n, write: *e.Write})
		case user.Reply:
			w.answered(e.To.(*request), e.Answer)
		case messages.ForClient:
			w.travel(me, w.clientAt(n/w.people, e.ToClient()), e)
			if m, ok := e.(messages.Reserve); ok && w.distant {
				w.reminders = append(w.reminders, reminder{client: -1, user: n, again: m.Call, due: w.now.Add(reserveAgain)})
			}
		}
	}
}

func (w *world) stepClient(n int, m client.Message) {
	c := w.clients[n]
	c.state.Distant = w.distant
	var effects []client.Effect
	c.state, effects = client.Step(c.state, w.now, m, nil)
	me := fmt.Sprintf("c%d", n)
	for _, e := range effects {
		switch e := e.(type) {
		case client.LookUp:
			w.reads = append(w.reads, read{user: -1, client: n, serial: e.Serial})
		case client.Remind:
			w.reminders = append(w.reminders, reminder{client: n, due: w.now.Add(e.After)})
		case client.Reply:
			r := e.To.(*request)
			r.availability = e.Availability
			w.answered(r, messages.Answer{Code: e.Availability.Code})
		case messages.ForUser:
			w.travel(me, w.userAt(n/w.leads, e.ToUser()), e)
		}
	}
}

func (w *world) answered(r *request, a messages.Answer) {
	if r.answered != 0 {
		w.t.Fatalf("%s was answered twice", r.name)
	}
	if w.distant && a.Code == messages.CodeOutcomeUnknown && !r.again && w.repeat(r) {
		return
	}
	if r.doubt && (a.Code == messages.CodeUnavailable || a.Code == messages.CodeOverloaded) {
		a.Code = messages.CodeOutcomeUnknown
	}
	r.answered, r.answer = w.step, a
	if !r.gaveUp {
		w.check(r)
	}
}

// ask sends a request to the actor that takes it.
func (w *world) ask(r *request) {
	r.asked = w.step
	r.node = w.rng.IntN(w.nodes)
	r.name = fmt.Sprintf("request %d %+v", len(w.requests), r.do)
	w.requests = append(w.requests, r)
	if w.seen(r) {
		return
	}
	if r.do == nil {
		w.send("caller", w.clientAt(r.node, r.client), client.Check{Asker: r})
		return
	}
	w.send("caller", w.userAt(r.node, r.user), &user.Command{Asker: r, Do: r.do})
}
