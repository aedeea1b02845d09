// Package browser holds the tests of the page: the real binary, and real
// Chromium processes in front of it, as the people of a team sit in front of
// theirs.
//
// The tests find things as a screen reader does, by role and accessible name,
// and use them as a hand does, by mouse events and keys at the place where a
// thing is on the screen; what is covered by something else cannot be clicked.
// A test waits until the page shows what it should, and fails, with what the
// page shows instead, when that takes longer than anybody would wait.
//
// Where a network or a server has to fail, a gate stands between them (gate_test.go):
// it holds back, refuses, falls silent. It also shortens the times that the page
// goes by; and where hours are to pass, the page's clock is moved.
//
// With -short the scenario of the specification and one more are tried.
//
// Two things hold in every test, whatever it is about: nothing is written to
// the browser's console that was not expected, and no request leaves the
// server.
//
// Some of the tests leave pictures of what they saw, with -screenshots; that is
// how docs/screenshots is made (make screenshots).
package browser
