package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const envHelp = `Every flag of every command can be given as an environment variable: its name
in capitals, with underscores for dashes, behind DIBS_.

  --database-url postgres://…   DIBS_DATABASE_URL=postgres://…
  --listen :8443                DIBS_LISTEN=:8443
  --demo                        DIBS_DEMO=true

A flag wins over its variable. An empty variable counts as none.

dibs reads no configuration file and changes no variable. Addresses with
passwords in them (DIBS_DATABASE_URL) are better off in a variable than on the
command line, where every program on the machine can see them.`

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "DIBS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// bindEnvironment sets those flags of cmd that were not given from their
// variables.
func bindEnvironment(cmd *cobra.Command, env func(string) (string, bool)) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || first != nil {
			return
		}
		value, ok := env(variable(f.Name))
		if !ok || value == "" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			first = usagef("the variable %s is %q, which does not work for --%s: %s", variable(f.Name), value, f.Name, wanted(f, err))
		}
	})
	return first
}

// wanted says what a flag takes.
func wanted(f *pflag.Flag, err error) string {
	switch f.Value.Type() {
	case "bool":
		return "give true or false"
	case "float64":
		return "give a number"
	case "duration":
		return "give a time, as in 10s"
	}
	text := err.Error()
	if _, cause, ok := strings.Cut(text, " flag: "); ok {
		return cause // without pflag's own mention of the flag
	}
	return text
}
