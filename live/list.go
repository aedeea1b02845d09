package live

import (
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
)

// groupSize is how many users stand in a group of the list: what is encoded and
// compressed anew when one of them changes. Small enough that a change costs
// little, large enough that a group compresses well.
const groupSize = 64

func groupsOf(users int) int { return (users + groupSize - 1) / groupSize }

// list serves the list of users. A body is made when somebody asks for it and
// the version has changed since the last one, by one goroutine for all who wait.
type list struct {
	model   *Model
	version atomic.Uint64 // of the state; written under Model.mu

	building sync.Mutex // guards groups and deflate; taken before Model.mu
	groups   []group
	stale    bool // what the groups say may be; see Model.stale
	deflate  deflater
	kept     [4]atomic.Pointer[body] // by variant
}

// variant is one of the four forms of the list.
type variant struct{ onCall, zipped bool }

func (v variant) index() int {
	i := 0
	if v.onCall {
		i |= 1
	}
	if v.zipped {
		i |= 2
	}
	return i
}

// body is an answer as it goes out. It is never written to.
type body struct {
	version uint64
	bytes   []byte
}

func newList(m *Model) *list {
	l := &list{model: m}
	l.version.Store(m.state.version)
	return l
}

// StatusTag names what the list of users, or of those on a call, says now: it
// changes with the list, and is another one after a restart. The list says
// everything that was committed before the call.
func (m *Model) StatusTag(_ bool) (string, error) {
	if !m.Loaded() {
		return "", errNotLoaded()
	}
	return m.list.tag(m.list.version.Load()), nil
}

// StatusBody returns GET /api/user-status as JSON, gzipped if asked, of all
// users or of those on a call, with whether it may be stale, and the tag of exactly
// this body. The bytes are
// shared and not to be written to.
func (m *Model) StatusBody(onCall, zipped bool) (bytes []byte, tag string, err error) {
	if !m.Loaded() {
		return nil, "", errNotLoaded()
	}
	b := m.list.get(variant{onCall, zipped})
	return b.bytes, m.list.tag(b.version), nil
}

func (l *list) tag(version uint64) string {
	return l.model.epoch + "-" + strconv.FormatUint(version, 36)
}

func (l *list) get(v variant) *body {
	want := l.version.Load()
	if b := l.kept[v.index()].Load(); b != nil && b.version >= want {
		return b
	}
	l.building.Lock()
	defer l.building.Unlock()
	// Who waited here was served by whoever was before them, if that one began
	// after they had asked.
	if b := l.kept[v.index()].Load(); b != nil && b.version >= want {
		return b
	}
	b := &body{version: l.refresh()}
	if v.zipped {
		b.bytes = l.zip(v.onCall)
	} else {
		b.bytes = l.plain(v.onCall)
	}
	l.kept[v.index()].Store(b)
	return b
}

// refresh brings the groups to the state's version, and returns it.
func (l *list) refresh() (version uint64) {
	for g, lines := range l.changedLines(&version) {
		l.groups[g] = newGroup(lines)
	}
	return version
}

// changedLines takes the encoded users of the groups that changed. Those of a group
// follow each other in one text, which is all that is kept of them.
func (l *list) changedLines(version *uint64) map[int]lines {
	m := l.model
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.arrange()
	*version, l.stale = s.version, m.stale
	if n := groupsOf(len(s.order)); n != len(l.groups) {
		l.groups = make([]group, n) // arrange has marked them all
	}
	changed := make(map[int]lines, len(s.dirty))
	for g := range s.dirty {
		if g >= len(l.groups) {
			continue // there were more users when it was marked
		}
		changed[g] = newLines(s.order[g*groupSize : min((g+1)*groupSize, len(s.order))])
	}
	clear(s.dirty)
	return changed
}

// lines are users of the list with commas between them.
type lines struct {
	text   []byte
	onCall [][]byte // those on a call, parts of text
}

// newLines encodes who changed, and lets everybody have their part of the text.
func newLines(members []*person) lines {
	size := 0
	for _, p := range members {
		if p.json == nil {
			// Strings, numbers and times between the years 0 and 9999 always
			// encode; a store has no others.
			p.json, _ = json.Marshal(p.status())
		}
		size += len(p.json) + 1
	}
	l := lines{text: make([]byte, 0, size)}
	for i, p := range members {
		if i > 0 {
			l.text = append(l.text, ',')
		}
		begin := len(l.text)
		l.text = append(l.text, p.json...)
		p.json = l.text[begin:len(l.text):len(l.text)]
		if p.call != nil {
			l.onCall = append(l.onCall, p.json)
		}
	}
	return l
}
