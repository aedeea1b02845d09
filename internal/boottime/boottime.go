// Package boottime is a clock that also counts the time for which the machine was suspended.
//
// The monotonic clock of Go's time.Now goes on while a process is stopped, and on Linux
// stands still while the machine sleeps. Whoever may do something until a certain time,
// because others may do it afterwards, must not be asleep through that time and not notice.
package boottime
