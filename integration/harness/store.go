package harness

import "slices"

// Store says where a server and its commands keep everything: DataDir is
// always set, DatabaseURL only for Postgres.
type Store struct {
	DataDir     string
	DatabaseURL string
}

// env is the process environment that names the store; it is the same for the
// server and for the commands.
func (s Store) env(base []string) []string {
	env := slices.Clone(base)
	env = append(env, "DIBS_DATA="+s.DataDir)
	if s.DatabaseURL != "" {
		env = append(env, "DIBS_DATABASE_URL="+s.DatabaseURL)
	}
	return env
}
