// Package proc tells what the machine and its processes have done. Linux only;
// elsewhere the numbers are zero.
package proc

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// CPU is what processes have used of the processors, with those of their
// children that run and those that have ended (proc(5), fields 14 to 17).
func CPU(pids ...int) (total time.Duration) {
	for _, pid := range pids {
		total += one(pid, true)
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		for _, c := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(c); err == nil {
				total += one(n, false)
			}
		}
	}
	return total
}

func one(pid int, ended bool) time.Duration {
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

// Flushes counts how often the disks were told to put what they have on stable
// storage (Linux, Documentation/admin-guide/iostats.rst, field 16).
func Flushes() (n int) {
	text, _ := os.ReadFile("/proc/diskstats")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 20 {
			k, _ := strconv.Atoi(f[18])
			n += k
		}
	}
	return n
}

// Machine says where figures are from.
func Machine() string {
	model := "unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores (%s), %s, %s/%s", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), model, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
