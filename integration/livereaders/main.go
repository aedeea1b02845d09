// Command livereaders holds many readers of live events open and notes when the
// last of them has read each event. It is the other side of the benchmark of the
// fan-out: a process of its own, so that the readers' garbage is not the load
// generator's, and as cheap as a reader can be, because it shares the machine
// with the server that is measured.
//
//	livereaders 127.0.0.1:8080 <readers per key> <key> [<key> …]
//
// It says "ready" when every reader has read its snapshot. It then waits for a
// line with the number of events of calls that each reader will be sent, and when
// all have them prints what it saw of each as JSON (see seen).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	most       = 1 << 17 // frames that can be noted
	patience   = 30 * time.Second
	atATime    = 64 // readers that connect
	bufferSize = 16 << 10
)

// seen is an event of a call and when the last reader had read it.
type seen struct {
	ID      string `json:"id"`      // of the event
	Last    int64  `json:"last"`    // Unix nanoseconds
	Readers int32  `json:"readers"` // how many have read it
}

// readers note each frame under its number, which is the same for all of them.
type readers struct {
	last  [most]atomic.Int64
	count [most]atomic.Int32

	mu    sync.Mutex
	names map[int]string // ids of events by the number of their frame, as the first reader has them
	sum   atomic.Int64   // events of calls that were read, by all together
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "livereaders:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: livereaders <address> <readers per key> <key>…")
	}
	each, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	g := &readers{names: map[int]string{}}
	conns, err := g.connect(args[0], args[2:], each)
	if err != nil {
		return err
	}
	_, _ = os.Stdout.WriteString("ready\n")
	var want int64
	if _, err := fmt.Scan(&want); err != nil {
		return err
	}
	for end := time.Now().Add(patience); g.sum.Load() < want*int64(len(conns)); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%d readers have read %d events, want %d each", len(conns), g.sum.Load(), want)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(g.all())
}

// connect returns when every reader has had its snapshot.
func (g *readers) connect(address string, keys []string, each int) (conns []net.Conn, err error) {
	places, failed := make(chan struct{}, atATime), make(chan error, each*len(keys))
	for i := range each * len(keys) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		conns = append(conns, conn)
		places <- struct{}{}
		go func() {
			err := skipSnapshot(conn, keys[i%len(keys)])
			<-places
			failed <- err
			if err == nil {
				g.read(conn, i == 0)
			}
		}()
	}
	for range conns {
		if err := <-failed; err != nil {
			return nil, err
		}
	}
	return conns, nil
}

// skipSnapshot reads up to the end of the snapshot, through a buffer that is
// thrown away: nothing follows it before all are ready.
func skipSnapshot(conn net.Conn, key string) error {
	if _, err := fmt.Fprintf(conn, "GET /api/events HTTP/1.1\r\nHost: dibs\r\nAuthorization: Bearer %s\r\n\r\n", key); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	for begun := false; ; {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(line, "HTTP/1.1 ") && !strings.HasPrefix(line, "HTTP/1.1 200"):
			return errors.New(strings.TrimSpace(line))
		case line == "event: snapshot\n":
			begun = true
		case line == "\n" && begun:
			return nil
		}
	}
}

// read notes what comes until the connection is closed.
func (g *readers) read(conn net.Conn, first bool) {
	buf := make([]byte, 0, bufferSize)
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		now, calls := time.Now().UnixNano(), int64(0)
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			frame, after, whole := bytes.Cut(rest, []byte("\n\n"))
			if !whole {
				break
			}
			if g.note(frame, now, first) {
				calls++
			}
			rest = after
		}
		buf = buf[:copy(buf, rest)]
		g.sum.Add(calls)
	}
}

// note reports whether the frame was an event of a call.
func (g *readers) note(frame []byte, now int64, first bool) bool {
	id, after, _ := bytes.Cut(frame, []byte("\n"))
	name, data, _ := bytes.Cut(after, []byte("\n"))
	if !bytes.HasPrefix(name, []byte("event: call.started")) && !bytes.HasPrefix(name, []byte("event: call.ended")) {
		return false
	}
	number, err := strconv.Atoi(string(id[bytes.LastIndexByte(id, ':')+1:]))
	if err != nil || number < 0 || number >= most {
		return false
	}
	if first {
		g.name(number, data)
	}
	g.count[number].Add(1)
	for last := &g.last[number]; ; {
		was := last.Load()
		if now <= was || last.CompareAndSwap(was, now) {
			return true
		}
	}
}

func (g *readers) name(number int, data []byte) {
	var event struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("data: ")), &event); err != nil {
		return // it will be missed
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names[number] = event.ID
}

func (g *readers) all() []seen {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []seen
	for number, id := range g.names {
		all = append(all, seen{ID: id, Last: g.last[number].Load(), Readers: g.count[number].Load()})
	}
	return all
}
