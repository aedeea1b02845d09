// Package migrations carries the schema of each store as plain SQL, one
// numbered file a step, embedded in the binary. The stores run them (see
// postgres.Migrate and sqlite.Migrate), under a lock, each file once.
package migrations

import "embed"

// Postgres holds postgres/NNNNN_name.sql.
//
//go:embed postgres/*.sql
var Postgres embed.FS

// SQLite holds sqlite/NNNNN_name.sql.
//
//go:embed sqlite/*.sql
var SQLite embed.FS
