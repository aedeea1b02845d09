package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// disk is a small file system of its own that can be filled up.
type disk struct {
	dir    string
	filler string
}

// newDisk mounts a file system of so many bytes in a new folder. Where that is
// not allowed the error says so; there is no other way to a disk that is full
// for one process alone: a limit on file sizes (RLIMIT_FSIZE) ends Go programs
// by a signal instead of failing their writes.
func newDisk(t testing.TB, name string, bytes int64) (*disk, error) {
	dir := filepath.Join(t.TempDir(), name)
	must(t, os.Mkdir(dir, 0o700))
	// Should this process be killed, the shell sees the end of its pipe.
	guard := exec.Command("/bin/sh", "-c", `trap '' INT TERM HUP; read -r _; umount -l "$1" 2>/dev/null`, "dibs-chaos-disk", dir)
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := guard.StdinPipe()
	must(t, err)
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=0700", bytes), "dibs-chaos", dir).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("mounting a small file system: %w: %s", err, out)
	}
	must(t, guard.Start())
	t.Cleanup(func() {
		_ = pipe.Close()
		_ = guard.Wait()
	})
	return &disk{dir: dir, filler: filepath.Join(dir, "filler")}, nil
}

// fill takes all the room that is left.
func (d *disk) fill() error {
	f, err := os.Create(d.filler)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; {
		n, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC) && n == 0:
			size /= 4
		case err != nil && !errors.Is(err, syscall.ENOSPC):
			return err
		}
	}
	return nil
}

// free gives the room back.
func (d *disk) free() error { return os.Remove(d.filler) }
