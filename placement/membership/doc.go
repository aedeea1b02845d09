// Package membership makes a process a member of a cluster: it gives the pure core in
// package placement its clock, its register and its goroutines.
//
// A [Node] has two goroutines. One beats: it writes the member to the register and
// reads all of them. The other one adjusts: it has the store end the sessions of who is
// gone, has the host let go of actors whose home moved, and then lets the member act by
// the new view; and when the membership has lapsed it lets go of everything and joins
// anew. Beats go on while the host lets go.
package membership
