package live

import (
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// What a sequence of events leaves, whatever is lost, late or comes twice. The
// names are those of the events of history.
func TestOrderDoesNotMatter(t *testing.T) {
	// Users 1 and 2, clients 7 and 8.
	history := func() map[string]messages.Event {
		s := newStore(0)
		at := map[string]messages.Event{}
		at["start1"] = s.start(1, 7)[0]
		at["end1"] = s.end(1)[0]
		at["start2"] = s.start(2, 7)[0] // the same client, another user
		at["end2"] = s.end(2)[0]
		at["start3"] = s.start(2, 8)[0] // the same user, another client
		return at
	}()
	for _, tc := range []struct{ arrive, told, left string }{
		{"start1", "start1", "start1"},
		{"start1 start1", "start1", "start1"},
		{"start1 end1", "start1 end1", ""},
		{"start1 end1 start1", "start1 end1", ""},
		{"end1 start1", "", ""},
		{"end1 end1", "", ""},
		{"start1 end1 end1", "start1 end1", ""},
		{"start1 start2", "start1 end1 start2", "start2"},
		{"start1 start2 end1 start1", "start1 end1 start2", "start2"},
		{"start2 start1", "start2", "start2"},
		{"start2 end1 start1", "start2", "start2"},
		{"start1 end2", "start1 end1", ""},
		{"start1 end2 end1 start1 start2", "start1 end1", ""},
		{"start2 start3", "start2 end2 start3", "start3"},
		{"start3 start2", "start3", "start3"},
		{"start3 end2 start2", "start3", "start3"},
		{"start3 start2 start1 end1 end2", "start3", "start3"}, // start2 shows that the first is over
		{"start2 end1 start3 end2 start1 start2", "start2 end2 start3", "start3"},
	} {
		for _, fromStream := range []bool{true, false} {
			s := newState(time.Time{})
			var told []string
			for name := range strings.FieldsSeq(tc.arrive) {
				happened := history[name]
				for _, e := range s.apply(&happened, fromStream) {
					told = append(told, nameOf(t, history, e))
				}
			}
			var left []string
			for _, c := range s.calls() {
				left = append(left, nameOf(t, history, messages.Event{Call: c.Call, Type: messages.EventCallStarted}))
			}
			if got := strings.Join(told, " "); got != tc.told {
				t.Errorf("%s: told %q, want %q", tc.arrive, got, tc.told)
			}
			if got := strings.Join(left, " "); got != tc.left {
				t.Errorf("%s: left %q, want %q", tc.arrive, got, tc.left)
			}
		}
	}
}

func nameOf(t *testing.T, history map[string]messages.Event, e messages.Event) string {
	t.Helper()
	for name, h := range history {
		if h.Call.ID == e.Call.ID && h.Type == e.Type {
			return name
		}
	}
	// The end of a call that history does not end.
	for name, h := range history {
		if h.Call.ID == e.Call.ID {
			return strings.Replace(name, "start", "end", 1)
		}
	}
	t.Fatalf("unknown event %+v", e)
	return ""
}

func TestEventsThatMeanNothing(t *testing.T) {
	s := newState(time.Time{})
	good := newStore(0).start(1, 1)[0]
	for _, change := range []func(*messages.Event){
		func(e *messages.Event) { e.Call.ID = messages.CallID{} },
		func(e *messages.Event) { e.Call.UserID = messages.UserID{} },
		func(e *messages.Event) { e.Call.ClientID = messages.ClientID{} },
		func(e *messages.Event) { e.Type = messages.EventCallRefused },
		func(e *messages.Event) { e.Type = "call.transferred" },
		func(e *messages.Event) { e.Call.Token = 0 },
		func(e *messages.Event) { e.Call.Token = -1 },
	} {
		e := good
		change(&e)
		if got := s.apply(&e, true); len(got) > 0 || len(s.people) > 0 {
			t.Errorf("%+v changed %+v", e, got)
		}
	}
}

// A start from before the truth that the truth did not show was over by then,
// even if nobody has ever heard of its end.
func TestOldStartsAfterTheTruth(t *testing.T) {
	truth := newStore(3)
	old := truth.start(0, 0)
	truth.end(0)
	truth.now = truth.now.Add(time.Minute)
	truth.start(1, 1)
	s := newState(time.Time{})
	calls, _ := truth.CallsInProgress(t.Context())
	users, _ := truth.ActiveUsers(t.Context())
	s.correct(users, calls, newTouched(), truth.now)
	if got := s.apply(&old[0], true); len(got) > 0 {
		t.Errorf("brought back: %v", got)
	}
	young := truth.start(2, 2)
	if got := s.apply(&young[0], true); len(got) != 1 {
		t.Errorf("a new one changed %v", got)
	}
	s = newState(time.Time{})
	s.correct(users, calls, newTouched(), truth.now)
	if got := s.apply(&old[0], false); len(got) != 1 {
		t.Errorf("what this node committed itself changed %v", got)
	}
}

func TestRecentIsBounded(t *testing.T) {
	const size = 100
	r := newRecent(size)
	for n := range 10 * size {
		r.note(client(n).ID, int64(n+1))
		for back := range min(n, size) {
			if r.token(client(n-back).ID) != int64(n-back+1) {
				t.Fatalf("client %d was forgotten after %d others", n-back, back)
			}
		}
		if len(r.young)+len(r.old) > 2*size {
			t.Fatalf("%d are remembered", len(r.young)+len(r.old))
		}
	}
	last := client(10*size - 1).ID
	r.note(last, 5)
	if r.token(last) != 10*size {
		t.Error("a token went back")
	}
	r.forget(last)
	if r.token(last) != 0 {
		t.Error("not forgotten")
	}
}
