package live

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

func renamed(n int, name string) messages.Client {
	c := client(n)
	return messages.Client{ID: c.ID, Name: name, Phone: c.Phone, Email: c.Email}
}

// What this node renamed has its new name at once: in the list, for readers who
// are there, and for those who come.
func TestClientsChanged(t *testing.T) {
	truth := newStore(3)
	m := newModel(t, truth)
	run(t, m)
	m.Committed(truth.start(0, 0))
	early := listen(t, m, "")
	waitFor(t, func() bool { return early.knows() == truth.shows() })
	tag, _ := m.StatusTag(true)

	m.ClientsChanged([]messages.Client{renamed(0, "Renamed"), renamed(1, "Whom nobody calls")})
	if body := listOf(t, m, true); !strings.Contains(body, `"Renamed"`) {
		t.Errorf("the list says %s", body)
	}
	if again, _ := m.StatusTag(true); again == tag {
		t.Error("another list has the same tag")
	}
	late := listen(t, m, "")
	for _, r := range []*reader{early, late} {
		waitFor(t, func() bool { return strings.Contains(r.knows(), "Renamed") })
	}

	frames := m.hub.position()
	m.ClientsChanged([]messages.Client{renamed(0, "Renamed"), renamed(2, "Nobody")})
	if m.hub.position() != frames {
		t.Error("readers are told of nothing new")
	}
}

// A truth that was read before the change does not take it back.
func TestClientsChangedDuringReading(t *testing.T) {
	truth := newStore(3)
	m := newModel(t, truth)
	m.Committed(truth.start(0, 0))
	m.cfg.Truth = &frozen{store: truth, then: func() { m.ClientsChanged([]messages.Client{renamed(0, "Renamed")}) }}
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body := listOf(t, m, true); !strings.Contains(body, `"Renamed"`) {
		t.Errorf("the list says %s", body)
	}
}
