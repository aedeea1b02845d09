package natsapi

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestLongSubjectIsADeadLetter: an event on a subject that is as long as the server
// takes becomes a dead letter like any other, and the node goes on taking events.
func TestLongSubjectIsADeadLetter(t *testing.T) {
	for what, cfg := range map[string]func() Config{
		"embedded": func() Config { return inProcess(t, t.TempDir()) },
		"process":  func() Config { return configOf(t, process(t, "")) },
	} {
		t.Run(what, func(t *testing.T) {
			bus := open(t, cfg())
			f := newTaker()
			ingesting(t, bus, f)
			subjects := map[string]bool{}
			for _, length := range []int{longSubject - 1, longSubject, 2000, 4040, 4080, 4090} {
				subject := IngestStarted + "."
				subject += strings.Repeat("x", length-len(subject))
				subjects[subject] = true
				if err := bus.link.nc.Publish(subject, []byte("{}")); err != nil {
					t.Fatal(err)
				}
			}
			waitFor(t, soon, "each is a dead letter", func() bool { return stateOf(t, bus, DeadStreamName) == len(subjects) })
			publish(t, bus, IngestStarted, startOf(aUser, 1))
			waitFor(t, soon, "the events are gone", func() bool { return left(t, bus) == 0 })
			if told(f, aUser) != 1 {
				t.Error("the good event was not told")
			}
			if n := testutil.ToFloat64(bus.link.losses); n != 0 {
				t.Errorf("the connection was lost %v times", n)
			}
			d := lettersOf(bus)
			for _, l := range letters(t, bus) {
				if !subjects[l.Subject] || l.Reason != ReasonMalformed {
					t.Errorf("letter %d: %s, of %d bytes of subject", l.Seq, l.Reason, len(l.Subject))
				}
				delete(subjects, l.Subject)
				if len(l.Subject) >= longSubject {
					if err := d.Retry(t.Context(), l); err == nil || !strings.Contains(err.Error(), "can only be dropped") {
						t.Errorf("retried with %d bytes of subject: %v", len(l.Subject), err)
					}
				}
				if err := d.Drop(t.Context(), l.Seq); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestClosedForGood: what makes the library give up a connection is said, so that
// the process can end; that we close it ourselves is not.
func TestClosedForGood(t *testing.T) {
	bus := open(t, configOf(t, process(t, "")))
	if err := bus.link.nc.Publish(strings.Repeat("x", 5000), nil); err != nil {
		t.Fatal(err)
	}
	var err error
	waitFor(t, soon, "it is lost", func() bool {
		select {
		case err = <-bus.Lost():
			return true
		default:
			return false
		}
	})
	if !strings.Contains(err.Error(), "control line") {
		t.Errorf("it is said to be lost because of %q", err)
	}
	other := open(t, inProcess(t, t.TempDir()))
	closeBus(t, other)
	waitFor(t, soon, "it is closed", func() bool { up, _ := other.link.state(); return !up })
	select {
	case err := <-other.Lost():
		t.Errorf("closed by ourselves, it is lost: %v", err)
	default:
	}
}
