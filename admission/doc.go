// Package admission decides which requests a process takes on when more come than
// it can answer in good time.
//
// The model. Work in progress is what costs latency: by Little's law, requests in
// flight are throughput times latency, so past the knee of the throughput each
// further one only makes all others later. So the number of commands in flight is
// bounded, by a [limit.Control] that finds the bound itself: every 100 ms it compares how
// long starts and ends take with how long they take when few are in flight, and lets
// the bound follow (as TCP Vegas and Netflix's concurrency-limits do with round
// trips). It is a pure function of what was seen; [Limiter] is the shell that sees.
//
// Below that bound there is a second one, for when the processors themselves are taken
// whole. Then requests wait before anybody has looked at them, where no count of those in
// flight sees them, and each refusal takes its share of what there is. So while starts are
// refused, and goroutines that could run wait for a processor for more than half a millisecond on
// average (runtime/metrics says so), fewer are admitted, and the time that this leaves is
// what makes answers and refusals quick. DAGOR (see below) goes by the same measure.
//
// There is no queue. What is not admitted is refused at once, by whoever asks, with
// a time at which to come again; a queue here would hold requests whose callers are
// about to give up, and serve them late (Maurer, "Fail at Scale", ACM Queue 2015).
// The queue that there is, that of the engine, is bounded by this.
//
// Who is refused first. Not all requests are alike ([Class]): an end frees a client
// and a user and so makes room, and a renewal that is refused ends a call that goes
// on. Both are admitted while four times as much is in flight as a start may find
// there, and while no more is than two bursts. What people do beside calls, such as
// looking for clients, has places of its own, so that a fleet that asks too much does
// not keep people from their pages, nor a slow search starts from the engine. So have
// questions about calls, whose answers may be for slow readers. A quarter of all places
// is kept from starts, and whoever has few requests in flight may find a quarter more
// room than who has many.
//
// Failure rules. Nothing is decided on few samples. Below a least number in flight
// ([limit.Floor]; [limit.Least] once starts are refused and the processors are crowded)
// nobody is ever refused for being late: so few cannot be the reason, and
// if they are late nevertheless (a slow disk, a neighbour on the machine), that is
// what the process can do now, and is learned as such. While the store stalls
// nothing finishes and nothing is learned; what had been waiting is not held against
// those who come when it is over. When the load falls there is nothing to wind down:
// who comes is admitted as soon as fewer are in flight than the bound, whatever it is.
//
// Sources: Nichols and Jacobson, "Controlling Queue Delay" (ACM Queue 2012): a burst
// that drains is not an overload, a queue that stands is; Zhou et al., "Overload
// Control for Scaling WeChat Microservices" (SoCC 2018): priorities, and refusing
// before work is begun; Cho et al., "Overload Control for µs-scale RPCs with
// Breakwater" (OSDI 2020); Bronson et al., "Metastable Failures in Distributed
// Systems" (HotOS 2021): why retries must not outlive the overload.
package admission
