// Package natstest is what tests of status events need: a real nats-server
// process that can be killed, paused and started again ([Server]), and an outbox
// in memory that can fail ([Outbox]).
//
// It reports errors instead of importing testing, so that any program can use
// it. All methods are safe for concurrent use unless they say otherwise.
package natstest
