package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// roleVariable tells a copy of this program what it is.
const roleVariable = "PEERS_ROLE"

// child is a process that ends with this one.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  string // file with what it said on standard error
}

// spawn starts a process with its standard error in a file in dir. Lines of its
// standard output go to said until that returns true.
func spawn(dir, name string, cmd *exec.Cmd, said func(line string) bool) (*child, error) {
	logName := filepath.Join(dir, name+".log")
	log, err := os.Create(logName)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out io.ReadCloser
	if said == nil {
		cmd.Stdout = log
	} else if out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, done: make(chan struct{}), log: logName}
	ready := make(chan struct{})
	var read sync.WaitGroup
	if out != nil {
		read.Go(func() { scan(out, said, ready) })
	} else {
		close(ready)
	}
	go func() {
		read.Wait()
		_ = cmd.Wait() // its log says why it ended
		close(c.done)
	}()
	select {
	case <-ready:
		return c, nil
	case <-c.done:
		return c, c.ended(name)
	case <-time.After(time.Minute):
		return c, errors.Join(fmt.Errorf("%s is not ready after a minute", name), c.stop())
	}
}

func scan(out io.Reader, said func(string) bool, ready chan<- struct{}) {
	lines, told := bufio.NewScanner(out), false
	for lines.Scan() {
		if !told && said(lines.Text()) {
			told = true
			close(ready)
		}
	}
}

func (c *child) ended(name string) error {
	text, _ := os.ReadFile(c.log)
	return fmt.Errorf("%s ended:\n%s", name, text)
}

// stop ends the process, by force if it takes too long.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-c.done:
		return nil
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("%s did not stop", filepath.Base(c.cmd.Path))
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// freeAddr is an address on this machine that nobody listens on.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
