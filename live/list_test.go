package live

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func unzip(t testing.TB, zipped []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false) // browsers read the first member alone
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(io.LimitReader(r, 1)); len(rest) > 0 {
		t.Error("more than one member")
	}
	return string(plain)
}

// All four forms say what the store would say, for lists of any length, through
// changes at random places; and a tag names one body.
func TestBodies(t *testing.T) {
	for _, users := range []int{0, 1, groupSize - 1, groupSize, groupSize + 1, 5*groupSize + 7} {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			truth := newStore(users)
			m := newModel(t, truth)
			if err := m.reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			rnd := rand.New(rand.NewPCG(3, uint64(users)))
			bodies := map[string]string{}
			for range 60 {
				m.Stale(rnd.IntN(4) == 0)
				if rnd.IntN(4) == 0 {
					if err := m.reconcile(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				checkBodies(t, m, truth, bodies)
				for range rnd.IntN(5) {
					n := rnd.IntN(users + 2)
					m.Committed(truth.start(n, n))
					if rnd.IntN(3) > 0 {
						m.Committed(truth.end(rnd.IntN(users + 2)))
					}
				}
			}
		})
	}
}

func checkBodies(t *testing.T, m *Model, truth *store, bodies map[string]string) {
	t.Helper()
	for _, onCall := range []bool{false, true} {
		want := strings.TrimSuffix(truth.list(t, onCall), "}") + fmt.Sprintf(`,"stale":%t}`, m.isStale())
		plain, tag, err := m.StatusBody(onCall, false)
		if err != nil || string(plain) != want {
			t.Fatalf("%s, %v\nwant\n%s", plain, err, want)
		}
		zipped, zippedTag, err := m.StatusBody(onCall, true)
		if err != nil || unzip(t, zipped) != want || zippedTag != tag {
			t.Fatalf("zipped: %s, %v\nwant\n%s", unzip(t, zipped), err, want)
		}
		if now, err := m.StatusTag(onCall); err != nil || now != tag {
			t.Errorf("tag %s of a body, now %s", tag, now)
		}
		key := fmt.Sprint(tag, onCall)
		if had, ok := bodies[key]; ok && had != want {
			t.Errorf("%s names two bodies", key)
		}
		bodies[key] = want
	}
}

// Only what changed is encoded and compressed again, and nothing when nothing
// changed.
func TestBodiesAreKept(t *testing.T) {
	truth := newStore(4 * groupSize)
	m := newModel(t, truth)
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	one, _, _ := m.StatusBody(false, true)
	two, _, _ := m.StatusBody(false, true)
	if &one[0] != &two[0] {
		t.Error("made twice")
	}
	kept := make([]*byte, len(m.list.groups))
	for i := range m.list.groups {
		kept[i] = &m.list.groups[i].all.zipped[0]
	}
	m.Committed(truth.start(5, 5))
	three, _, _ := m.StatusBody(false, true)
	if &three[0] == &one[0] {
		t.Error("not made anew")
	}
	same := 0
	for i := range m.list.groups {
		if &m.list.groups[i].all.zipped[0] == kept[i] {
			same++
		}
	}
	if same != len(kept)-1 {
		t.Errorf("%d of %d groups were kept", same, len(kept))
	}
}

func TestTagsOfTwoProcessesDiffer(t *testing.T) {
	truth := newStore(1)
	var tags []string
	for range 2 {
		m := newModel(t, truth)
		if err := m.reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		tag, _ := m.StatusTag(false)
		tags = append(tags, tag)
	}
	if tags[0] == tags[1] || strings.ContainsAny(tags[0], "\", ") {
		t.Errorf("%q", tags)
	}
}

// Names are data wherever they go.
func TestMarkupInNames(t *testing.T) {
	truth := newStore(1)
	evil := "</script>\n\ndata: x\nevent: call.ended\n\"\x00é"
	u := user(0)
	u.FirstName = evil
	truth.users[u.ID] = u
	m := newModel(t, truth)
	run(t, m)
	e := truth.start(0, 0)
	e[0].Client.Name, e[0].User = evil, u
	m.Committed(e)
	r := listen(t, m, "")
	waitFor(t, func() (ok bool) {
		r.look(func(r *reader) { ok = r.calls[e[0].Call.ID].Client.Name == evil })
		return ok
	})
	r2 := listen(t, m, "")
	waitFor(t, func() (ok bool) { r2.look(func(r *reader) { ok = r.snapshots == 1 }); return ok })
	e = truth.end(0)
	e[0].Disposition = evil
	m.Committed(e)
	waitFor(t, func() bool { return r.knows() == "" && r2.knows() == "" })
	if body := listOf(t, m, false); strings.Contains(body, "</script>") || strings.Contains(body, "\n") {
		t.Errorf("%q", body)
	}
}
