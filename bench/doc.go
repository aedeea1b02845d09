// Command bench measures the claim engine against what people would write
// instead, on one private Postgres with default durability, in one run: rounds
// of all systems take turns, so that a slow minute of the machine is everybody's.
//
//	make bench
//
// Three systems hold the same data: dibs (the engine without HTTP), the three
// statements of the call-conflict spec, and a conditional update with a unique
// index. Absolute numbers are this machine's; the ratios are what is compared.
package main
