package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dibs-calls/dibs/transport/natsapi"
)

func (c *cli) deadCommand() *cobra.Command {
	group := newGroup("dead", "Call events of other services that could not be applied",
		`Works off the call events of other services that could not be applied (dead
letters): whose user or client is not there, or that say something that cannot
be understood. Each keeps the event as it came, and the reason:

  malformed          no CloudEvent, or one that does not say what it must
  user_not_found     nobody has this id or e-mail address, or is disabled
  client_not_found   no client has this id or number
  client_ambiguous   several clients have the number
  stale              a call that began longer ago than 'dibs serve' remembers
                     which have ended (--ingest-remember): drop it
  internal           a defect of dibs; its log says more

It talks to the NATS server that 'dibs serve' uses: the one inside the running
process, found through the folder --data, or the one at --nats-url. Give the
same flags or DIBS_… variables as to 'dibs serve'.`,
		c.deadListCommand(), c.deadShowCommand(),
		c.deadChangeCommand("retry", "Try again", "retried", `Puts events back to where they came from, as they came. An event that took
effect before has none a second time, as long as it is remembered; a call that began
before that comes back as stale.`,
			func(ctx context.Context, d *natsapi.DeadLetters, l natsapi.DeadLetter) error { return d.Retry(ctx, l) }),
		c.deadChangeCommand("drop", "Throw away", "dropped", "Throws events away for good.",
			func(ctx context.Context, d *natsapi.DeadLetters, l natsapi.DeadLetter) error {
				return d.Drop(ctx, l.Seq)
			}),
	)
	return group
}

// deadFlags say where the dead letters are, and which.
type deadFlags struct {
	nats   natsConfig
	reason string
	json   bool
}

// withLetters connects, and gives f the dead letters.
func (c *cli) withLetters(cmd *cobra.Command, flags *deadFlags, f func(ctx context.Context, d *natsapi.DeadLetters) error) error {
	cfg := natsapi.Config{URL: flags.nats.URL, Auth: flags.nats.Auth, TLS: flags.nats.TLS}
	cfg.Embedded.Dir, cfg.Embedded.Token = filepath.Join(c.where.Data, "nats"), flags.nats.ListenToken
	d, err := natsapi.OpenDeadLetters(cfg)
	if errors.Is(err, natsapi.ErrNoServer) {
		return &exitError{exitUnavailable, fmt.Errorf("no server is running on %s: the dead letters are in it (or is there a NATS server of your own, for --nats-url?)", c.where.Data)}
	}
	if err != nil {
		return &exitError{exitUnavailable, err}
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), deadWithin)
	defer cancel()
	err = f(ctx, d)
	if errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil {
		return &exitError{exitUnavailable, fmt.Errorf("NATS did not answer in time: %w", err)}
	}
	return err
}

// deadWithin is long enough for a million letters.
const deadWithin = 10 * time.Minute

func (c *cli) deadListCommand() *cobra.Command {
	var flags deadFlags
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List them, oldest first",
		Example: "  dibs dead list\n  dibs dead list --reason user_not_found --json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit %d: give a number above zero", limit)
			}
			return c.withLetters(cmd, &flags, func(ctx context.Context, d *natsapi.DeadLetters) error {
				found := []natsapi.DeadLetter{}
				total, err := d.Each(ctx, func(l natsapi.DeadLetter) (bool, error) {
					if flags.matches(l) {
						found = append(found, l)
					}
					return len(found) < limit, nil
				})
				if err != nil {
					return err
				}
				return c.printLetters(found, total, flags.json)
			})
		},
	}
	flags.nats.bindAddress(cmd.Flags())
	cmd.Flags().StringVar(&flags.reason, "reason", "", "only those with this reason")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	cmd.Flags().BoolVar(&flags.json, "json", false, "as JSON")
	return cmd
}

func (f *deadFlags) matches(l natsapi.DeadLetter) bool {
	return f.reason == "" || string(l.Reason) == f.reason
}

func (c *cli) deadShowCommand() *cobra.Command {
	var flags deadFlags
	cmd := &cobra.Command{
		Use:     "show NUMBER",
		Short:   "Show one with its event",
		Example: "  dibs dead show 17\n  dibs dead show 17 --json | jq .event",
		Args:    exactArgs("the number of the dead letter (see 'dibs dead list')"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seqs, err := numbers(args)
			if err != nil {
				return err
			}
			return c.withLetters(cmd, &flags, func(ctx context.Context, d *natsapi.DeadLetters) error {
				l, err := d.Get(ctx, seqs[0])
				if err != nil {
					return noLetter(seqs[0], err)
				}
				if flags.json {
					return c.printJSON(show(l))
				}
				return c.printLetter(l)
			})
		},
	}
	flags.nats.bindAddress(cmd.Flags())
	cmd.Flags().BoolVar(&flags.json, "json", false, "as JSON")
	return cmd
}

// deadChangeCommand is a command that does something to letters by number, or to
// all of them.
func (c *cli) deadChangeCommand(name, short, done, long string,
	change func(context.Context, *natsapi.DeadLetters, natsapi.DeadLetter) error,
) *cobra.Command {
	var flags deadFlags
	var all bool
	cmd := &cobra.Command{
		Use:   name + " NUMBER… | --all",
		Short: short + ", some or all",
		Long:  long,
		Example: fmt.Sprintf("  dibs dead %[1]s 17 18\n  dibs dead %[1]s --all --reason user_not_found",
			name),
		RunE: func(cmd *cobra.Command, args []string) error {
			seqs, err := numbers(args)
			switch {
			case err != nil:
				return err
			case all == (len(seqs) > 0):
				return usagef("give the numbers of dead letters (see 'dibs dead list'), or --all")
			case flags.reason != "" && !all:
				return usagef("--reason goes with --all")
			}
			return c.withLetters(cmd, &flags, func(ctx context.Context, d *natsapi.DeadLetters) error {
				if all {
					if seqs, err = flags.matching(ctx, d); err != nil {
						return err
					}
				}
				return c.changeLetters(ctx, d, seqs, done, change)
			})
		},
	}
	flags.nats.bindAddress(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all that there are now")
	cmd.Flags().StringVar(&flags.reason, "reason", "", "with --all: only those with this reason")
	return cmd
}

// matching lists the letters that match, as they are now: what comes back while
// they are retried is not retried again.
func (f *deadFlags) matching(ctx context.Context, d *natsapi.DeadLetters) (seqs []uint64, err error) {
	_, err = d.Each(ctx, func(l natsapi.DeadLetter) (bool, error) {
		if f.matches(l) {
			seqs = append(seqs, l.Seq)
		}
		return true, nil
	})
	return seqs, err
}

// changeLetters does what it can, and says what it could not do.
func (c *cli) changeLetters(ctx context.Context, d *natsapi.DeadLetters, seqs []uint64, done string,
	change func(context.Context, *natsapi.DeadLetters, natsapi.DeadLetter) error,
) error {
	changed := 0
	var missing error
	for _, seq := range seqs {
		l, err := d.Get(ctx, seq)
		if err == nil {
			err = change(ctx, d, l)
		}
		switch {
		case errors.Is(err, natsapi.ErrNoDeadLetter):
			missing = noLetter(seq, err)
			_, _ = fmt.Fprintf(c.stderr, "dibs: %s\n", missing)
		case err != nil:
			return fmt.Errorf("%s %d of %d: %w", done, changed, len(seqs), err)
		default:
			changed++
		}
	}
	if _, err := fmt.Fprintf(c.stdout, "%s %d\n", done, changed); err != nil {
		return err
	}
	switch {
	case missing == nil:
		return nil
	case changed > 0:
		return &exitError{exitPartly, nil}
	}
	return &exitError{exitFailed, nil}
}

func noLetter(seq uint64, err error) error {
	if errors.Is(err, natsapi.ErrNoDeadLetter) {
		return fmt.Errorf("there is no dead letter %d (see 'dibs dead list')", seq)
	}
	return err
}

func numbers(args []string) ([]uint64, error) {
	var seqs []uint64
	for _, arg := range args {
		seq, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || seq == 0 {
			return nil, usagef("%q is not the number of a dead letter (see 'dibs dead list')", arg)
		}
		seqs = append(seqs, seq)
	}
	return seqs, nil
}
