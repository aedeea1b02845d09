package proc

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Divide looks which processors there are.
func Divide() (Apart, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return Apart{}, fmt.Errorf("asking for processors: %w", err)
	}
	var all []int
	for cpu := 0; len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	if len(all) < enough {
		return Apart{measured: all, asking: all}, nil
	}
	half := (len(all) + 1) / 2
	return Apart{measured: all[:half], asking: all[len(all)-half:]}, nil
}

// confine moves every thread of this process. New threads are where the one is that made
// them, so it looks again until nobody is left.
func confine(cpus []int) error {
	var want unix.CPUSet
	for _, cpu := range cpus {
		want.Set(cpu)
	}
	for moved := 1; moved > 0; {
		moved = 0
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			var has unix.CPUSet
			if unix.SchedGetaffinity(id, &has) != nil || has == want {
				continue // it has ended, or is there
			}
			if err := unix.SchedSetaffinity(id, &want); err == nil {
				moved++
			}
		}
	}
	runtime.GOMAXPROCS(len(cpus))
	return nil
}
