// Package placement decides on which node an actor lives. It is pure: it has no
// clock, no goroutine and no network; packages below it give it those.
//
// # Model
//
// Every node keeps a [Member] in a register that all nodes read. Which members keep
// actors is a node's view; an actor's home follows from the view by rendezvous
// hashing ([Owners.Home]), so nodes that have the same view agree without talking,
// and a member that comes or goes moves only the actors that it gains or had.
//
// Views differ for a while whenever the members change. So a member says in the
// register by which view it acts, and [Homes.Home] answers "here" only for an actor
// that is this node's by its own published view and no other member's by theirs. A
// member publishes a new view only after it has let go of the actors that it loses by
// it.
//
// That no two nodes keep an actor at once rests on one property of the register: who
// writes and then reads sees everything that was written before ([Core.Observe] is
// given what was read after the write). Of two nodes that publish views by which both
// would keep an actor, at least one sees the other's, and waits.
//
// # Life and death
//
// A member writes itself again every [BeatEvery]. Each node judges the others by its
// own monotonic clock alone, which goes on while the process is stopped and, where the
// system has such a clock, while the machine is suspended: gone is who has not changed
// for [GoneAfter] since this node saw the last change. A member trusts its own membership for [ValidFor] from
// the moment at which it began the last write that succeeded, which is shorter and
// starts earlier: it stops trusting itself before anybody can judge it gone. A write
// that succeeds after that does not bring it back; it joins anew, as somebody else. No
// two clocks are compared; they need only run at about the same rate (a tenth apart at
// most).
//
// The actors of who is gone are not taken over before the store has ended its sessions,
// so that nothing which it still had under way can be committed afterwards
// ([Core.Gone], [Core.Ended]).
//
// None of this holds I1, I2 or I6: those are held by the store's indexes. It holds
// what is answered from memory.
package placement
