package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dibs-calls/dibs/bench/proc"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// serverCPU reads what all processes of a Postgres server have used of the
// processors. Linux only; elsewhere it is zero.
type serverCPU struct{ postmaster int }

func newServerCPU(ctx context.Context, server *pgtest.Server) (serverCPU, error) {
	conn, err := pgx.Connect(ctx, server.AdminURL("postgres"))
	if err != nil {
		return serverCPU{}, err
	}
	defer conn.Close(ctx)
	var dir string
	if err := conn.QueryRow(ctx, `SHOW data_directory`).Scan(&dir); err != nil {
		return serverCPU{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return serverCPU{}, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(text), "\n", 2)[0]))
	return serverCPU{pid}, err
}

// used includes processes that have ended: the postmaster has waited for them.
func (s serverCPU) used() time.Duration { return proc.CPU(s.postmaster) }
