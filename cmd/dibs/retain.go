package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// age is how long something is kept: a duration, or days ("365d"), which a
// duration of Go's does not know. Zero: for ever.
type age time.Duration

// Set implements [pflag.Value].
func (a *age) Set(s string) error {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16) // 65535 days are 179 years, which a duration holds
		if err != nil {
			return errAge
		}
		*a = age(n) * age(24*time.Hour)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return errAge
	}
	*a = age(d)
	return nil
}

var errAge = errors.New("give days, as in 365d, or a time, as in 8760h")

// String implements [pflag.Value].
func (a *age) String() string {
	const day = 24 * time.Hour
	d := time.Duration(*a)
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}

// Type implements [pflag.Value].
func (a *age) Type() string { return "age" }

// checkRetain refuses to forget calls that a service may still report: the start of
// one that is over would begin it again.
func (cfg *serveConfig) checkRetain() error {
	least := cfg.NATS.Ingest.Remember + rememberMore
	if retain := time.Duration(cfg.Retain); retain > 0 && retain < least {
		return usagef("--retain %s: give at least %s (an hour more than --ingest-remember, because late reports of calls that are over are known by them), as in 365d, or 0 to keep everything", &cfg.Retain, least)
	}
	return nil
}
