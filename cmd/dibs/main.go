// Command dibs keeps a sales team, or a fleet of dialers, from calling the same
// client twice at once. This package joins the layers: it reads flags and
// DIBS_… variables, opens the store and starts the server, and holds the
// commands with which people, clients and keys are managed.
//
// Every command is a function of its arguments, streams and environment (see
// run), so that tests run them as the shell does. Commands that manage data
// open the store themselves and can be used while a server runs on it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
}
