package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dibs-calls/dibs/auth"
	"golang.org/x/term"
)

// isTerminal reports whether a stream is a person's.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newPassword asks for a password to be set: from the first line of standard
// input, or twice at the terminal, without showing it.
func (c *cli) newPassword(ctx context.Context, fromStdin bool) (string, error) {
	var password string
	var err error
	switch {
	case fromStdin:
		password, err = firstLine(newInterruptible(ctx, c.stdin))
	case isTerminal(c.stdin):
		password, err = c.askTwice(ctx)
	default:
		return "", usagef("there is no terminal to ask for a password: give --password-stdin and write it there")
	}
	if err != nil {
		return "", err
	}
	if err := auth.CheckPassword(password); err != nil {
		return "", sentence(err)
	}
	return password, nil
}

// firstLine reads a line, without its end; no more of it than a password has.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, auth.MaxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

func (c *cli) askTwice(ctx context.Context) (string, error) {
	password, err := c.ask(ctx, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := c.ask(ctx, "Once more: ")
	if err != nil {
		return "", err
	}
	if password != again {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return password, nil
}

// ask reads a line from the terminal without echo. Reading a terminal cannot be
// called off, so when ctx ends the terminal is set right again and the reading
// goroutine left behind to end with the process.
func (c *cli) ask(ctx context.Context, prompt string) (string, error) {
	fd := int(c.stdin.(*os.File).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprint(c.stderr, prompt)
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		answered <- answer{text, err}
	}()
	defer func() { _, _ = fmt.Fprintln(c.stderr) }()
	select {
	case a := <-answered:
		return string(a.text), a.err
	case <-ctx.Done():
		return "", errors.Join(&exitError{exitInterrupted, errors.New("interrupted; nothing was changed")}, term.Restore(fd, before))
	}
}
