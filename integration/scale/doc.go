// Package scale measures what dibs takes when a deployment is large: the real
// binary on Postgres, with up to a million clients, a hundred thousand users and
// fifty thousand calls in progress, and what a day of calls leaves behind.
//
// Deployments of three sizes, each ten times the one before, are filled through
// dibs' own commands and its own API, and asked the same questions: what is shown
// is what grows with the size and what does not. Memory, bytes on disk and ratios
// hold on any machine; times are this one's.
//
// As part of the tests the sizes are small, and what is held is memory and rows an
// item. `make scale` measures the large ones and writes docs/benchmarks.md.
package scale
