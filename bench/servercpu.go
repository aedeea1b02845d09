package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
func (s serverCPU) used() time.Duration {
	total := processCPU(s.postmaster, true)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.postmaster, s.postmaster))
	if err != nil {
		return 0
	}
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			total += processCPU(pid, false)
		}
	}
	return total
}

// processCPU is user and system time of a process (proc(5), fields 14 to 17).
func processCPU(pid int, ended bool) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	last := 13
	if ended {
		last = 15
	}
	ticks := 0
	for _, f := range fields[11:last] {
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
}
