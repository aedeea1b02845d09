package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dibs-calls/dibs/messages"
	"github.com/spf13/cobra"
)

// Exit codes. They are told to people by exitCodesHelp.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartly      = 3
	exitUnavailable = 4
	exitRefused     = 5
	exitInterrupted = 130 // as the shell says it of Ctrl-C
)

const exitCodesHelp = `What the exit code of a dibs command means:

  0    done
  1    failed: it was tried and did not work; the reason is on standard error
  2    not understood: a wrong command, flag, argument or DIBS_… variable;
       nothing was done
  3    partly done: an import took the good lines and named the bad ones, or
       some of several dead letters were not there
  4    the store cannot be reached or opened, or its answer was lost; an import
       can simply be run again, it adds only what is missing
  5    refused: to do it would not be safe (to listen beyond this machine
       without TLS, say); the message says what would be
  130  interrupted (Ctrl-C, SIGTERM) before it was done; the message says how
       far it came. A server that was told to stop and did ends with 0.

In a script:

  dibs clients import leads.csv
  case $? in
    0) echo "all in" ;;
    3) echo "some lines were bad" ;;
    *) exit 1 ;;
  esac`

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error // nil: everything was said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func refusef(format string, args ...any) error {
	return &exitError{exitRefused, fmt.Errorf(format, args...)}
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var exit *exitError
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	switch messages.CodeOf(err) {
	case messages.CodeUnavailable, messages.CodeOverloaded, messages.CodeOutcomeUnknown:
		return exitUnavailable
	}
	return exitFailed
}

// noArgs, exactArgs and the like of cobra answer with what they expected; ours
// also say what it is for.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s is missing", names[len(args)])
		case len(args) > len(names):
			return usagef("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}
