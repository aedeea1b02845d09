package pgtest

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// watchdogScript reads the process ids of servers, one a line. At the end of
// the pipe it kills the last one, with its children, and removes the folder.
// Children that were paused die of SIGKILL all the same. It checks that the
// process is still a server of this folder before it kills.
const watchdogScript = `
trap '' INT TERM HUP QUIT
server=
while read -r pid; do server=$pid; done
if [ -n "$server" ] && [ "$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)" = "$server" ]; then
	kill -STOP "$server" 2>/dev/null
	children=$(ps -A -o pid=,ppid= 2>/dev/null | awk -v p="$server" '$2 == p { print $1 }')
	kill -KILL $children "$server" 2>/dev/null
fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

// watchdog cleans up after a server, also when this process cannot.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startWatchdog(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "dibs-pgtest-watchdog", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

// watch names the server's process.
func (w *watchdog) watch(pid int) error {
	_, err := fmt.Fprintln(w.pipe, pid)
	return err
}

// release lets the watchdog clean up and waits for it. It can be repeated.
func (w *watchdog) release() {
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
