//go:build unix

package natstest

import "syscall"

// Pause stops the process without ending it: its connections stay open and
// nothing answers.
func (s *Server) Pause() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() error { return s.cmd.Process.Signal(syscall.SIGCONT) }
