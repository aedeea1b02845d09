// Package check holds what an operator is given beside the program to what the
// program is: the alert rules and the dashboard of docs/observability to the
// metrics that are there, their runbook to docs/operations.md, and the files of
// deploy/ to the schemas of those who read them and to the flags of dibs.
//
// It is a module of its own, because it needs the parsers of Prometheus,
// Kubernetes and Docker, which dibs does not. It has tests only.
package check
