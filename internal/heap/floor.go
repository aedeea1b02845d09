// Package heap tells the garbage collector when to run. By itself Go collects when
// as much has been allocated as was alive after the last collection. A dibs with a
// few megabytes alive and a hundred thousand messages a second would collect dozens
// of times a second: a quarter of its work, measured. One with some hundred
// megabytes alive, most of them buffers of NATS in which there is nothing to look
// through, would hold as many of garbage, and gain nothing.
package heap

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"weak"
)

const (
	// GarbageBytes is how much garbage may lie about in any case: 128 MiB.
	GarbageBytes = 128 << 20
	// percent of what is alive may lie about where that is more.
	percent = 25
	// goPercent is what Go does by itself.
	goPercent = 100
)

// Keeper is for whose lifetime the collector runs as [Floor] says.
type Keeper struct{ _ *byte } // with a pointer, because small values without one live and die together

// Floor has the collector run when there is [GarbageBytes] of garbage, or a quarter of
// what is alive where that is more, for as long as what it returns is kept. Nil where GOGC or
// GOMEMLIMIT say how the collector is to work.
//
// There is no setting for it. GOGC is a share of what is alive, so it is set anew
// after each collection, by a finalizer: that is when the runtime runs one.
func Floor() *Keeper {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	k := new(Keeper)
	afterGC(&collection{weak.Make(k)})
	return k
}

// collection is garbage at the next collection, and is then used for the one after.
type collection struct{ keeper weak.Pointer[Keeper] }

func afterGC(c *collection) {
	runtime.SetFinalizer(c, func(c *collection) {
		alive, set := state()
		want, kept := uint64(goPercent), c.keeper.Value() != nil
		if kept {
			want = percentFor(alive)
		}
		if want != set { // setting it stops the world for a moment
			debug.SetGCPercent(int(want))
		}
		if kept {
			afterGC(c)
		}
	})
}

// state is how many bytes the last collection found alive, and what GOGC is.
func state() (alive, set uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// percentFor is the GOGC that lets [GarbageBytes] lie about, or percent of what is
// alive, rounded to what is worth a change.
func percentFor(alive uint64) uint64 {
	const least, step = 1 << 20, 5
	return max(percent, 100*GarbageBytes/max(alive, least)/step*step)
}
