// Package archtest holds the project to its import rules: who must never come
// to depend on whom, and why ([rules], in rules_test.go), and what the pure
// state machines must not do. It has no code of its own besides tests.
//
// Rules about layers follow imports through the packages of the project, so
// that a detour is no way round them; rules that keep a library in one place
// look at direct imports only. Files that a build constraint leaves out on
// this machine are not seen.
package archtest
