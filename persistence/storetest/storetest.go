// Package storetest is the conformance suite that every store of dibs passes:
// one named subtest for each promise of package persistence and of
// messages/journal.go, with the name of the invariant (I1 to I8) that it holds
// up, where it holds one up.
//
// The suite sees a store through [persistence.Store] alone. It makes no
// assumption about the store's clock but that it runs, waits for conditions and
// never for a time, and makes everything it needs under fresh random ids, so
// that the promises of one topic can share a store. Topics whose promises
// speak of all there is in a store (an order, a count) get a new store each.
package storetest

import (
	"testing"

	"github.com/dibs-calls/dibs/persistence"
)

// promise is one thing that a store must do, named in the words of a failure
// report.
type promise struct {
	name string
	test func(t *testing.T, s persistence.Store)
}

// topic is a group of promises. Those of a topic that is alone get a new,
// empty store each; the others share one.
type topic struct {
	name     string
	alone    bool
	promises []promise
}

// unlessShort is n, and few with -short: for what is tried again and again at
// random.
func unlessShort(n, few int) int {
	if testing.Short() {
		return few
	}
	return n
}

func topics() []topic {
	return []topic{
		{"Claim", false, claimPromises()},
		{"Release", false, releasePromises()},
		{"Renew", false, renewPromises()},
		{"Note", false, notePromises()},
		{"Key", false, keyPromises()},
		{"Batch", false, batchPromises()},
		{"Event", false, eventPromises()},
		{"Concurrent", false, concurrentPromises()},
		{"Context", false, contextPromises()},
		{"ClaimReader", true, readerPromises()},
		{"Outbox", true, outboxPromises()},
		{"Report", false, reportPromises()},
		{"ReportName", false, reportNamePromises()},
		{"ReportUpkeep", true, reportUpkeepPromises()},
		{"People", true, peoplePromises()},
		{"Tokens", true, tokenPromises()},
		{"Clients", true, clientPromises()},
		{"ClientOnce", true, clientOncePromises()},
		{"ClientChanges", true, clientChangePromises()},
		{"Search", true, searchPromises()},
		{"Logs", true, logPromises()},
		{"Text", false, textPromises()},
		{"Upkeep", true, upkeepPromises()},
		{"Retention", true, retentionPromises()},
	}
}

// Run holds the stores that open makes to the whole contract. Each call of
// open returns a new, empty, migrated store of its own; open arranges with
// t.Cleanup for its end. Closing it twice is the suite's right.
func Run(t *testing.T, open func(t *testing.T) persistence.Store) {
	t.Helper()
	for _, tp := range topics() {
		t.Run(tp.name, func(t *testing.T) { tp.run(t, open) })
	}
}

// RunTopic is [Run] for one topic alone, for a store that is put together in a
// way that only this topic can put to the test.
func RunTopic(t *testing.T, name string, open func(t *testing.T) persistence.Store) {
	t.Helper()
	for _, tp := range topics() {
		if tp.name == name {
			tp.run(t, open)
			return
		}
	}
	t.Fatalf("there is no topic %q", name)
}

func (tp topic) run(t *testing.T, open func(t *testing.T) persistence.Store) {
	t.Helper()
	var shared persistence.Store
	if !tp.alone {
		shared = open(t)
	}
	for _, p := range tp.promises {
		t.Run(p.name, func(t *testing.T) {
			s := shared
			if tp.alone {
				s = open(t)
			}
			p.test(t, s)
		})
	}
}
