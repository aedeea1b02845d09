package sip

import "syscall"

// ownGroup has the kernel end a process when the test binary dies. Kamailio ends
// its children when it is told to end, and not when it is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
