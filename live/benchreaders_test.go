package live_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The other process of the benchmarks: readers of live events, on connections
// of their own, as cheap as can be.

const (
	readerEnv = "DIBS_BENCH_READERS"
	readyLine = "ready\n"
	mostSeen  = 1 << 15 // numbers of events
)

func freeMemory() { debug.FreeOSMemory() }

func readFull(r io.Reader, p []byte) (int, error) { return io.ReadFull(r, p) }

// TestReaderProcess is not a test: a benchmark runs it as a process.
func TestReaderProcess(t *testing.T) {
	if os.Getenv(readerEnv) == "" {
		return
	}
	var (
		address, token string
		n              int
	)
	if _, err := fmt.Sscan(os.Getenv(readerEnv), &address, &n, &token); err != nil {
		t.Fatal(err)
	}
	g := &readerProcess{}
	var connected, ended sync.WaitGroup
	connected.Add(n)
	conns := make([]net.Conn, n)
	places := make(chan struct{}, 64) // connecting at a time
	for i := range n {
		places <- struct{}{}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
		ended.Go(func() {
			g.read(conn, token, func() { <-places; connected.Done() })
		})
	}
	connected.Wait()
	_, _ = os.Stdout.WriteString(readyLine)
	_, _ = io.Copy(io.Discard, os.Stdin)
	<-time.After(500 * time.Millisecond) // what is on its way arrives; nothing tells
	for _, conn := range conns {
		_ = conn.Close()
	}
	ended.Wait()
	out, err := json.Marshal(g.seen())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.Write(append(out, '\n'))
}

type readerProcess struct {
	last  [mostSeen]atomic.Int64
	count [mostSeen]atomic.Int32
}

func (g *readerProcess) read(conn net.Conn, token string, ready func()) {
	if skipSnapshot(conn, token) {
		ready()
		g.events(conn)
	}
}

// skipSnapshot reads up to the end of the snapshot, through a buffer that is
// thrown away. What it has read beyond are events that the benchmark has not
// begun with.
func skipSnapshot(conn net.Conn, token string) bool {
	_, _ = fmt.Fprintf(conn, "GET /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", token)
	in := bufio.NewReaderSize(conn, 16<<10)
	for snapshot, data := false, false; !snapshot || !data; {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false
		}
		snapshot = snapshot || bytes.HasPrefix(line, []byte("event: snapshot"))
		data = snapshot && err == nil && !bytes.HasPrefix(line, []byte("event: ")) // the end of the long line
	}
	return true
}

func (g *readerProcess) events(conn net.Conn) {
	buf := make([]byte, 0, 16<<10) // what comes at a time, so that it takes one read
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		now := time.Now().UnixNano()
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			frame, after, whole := bytes.Cut(rest, []byte("\n\n"))
			if !whole {
				break
			}
			g.note(frame, now)
			rest = after
		}
		buf = buf[:copy(buf, rest)]
	}
}

func (g *readerProcess) note(frame []byte, now int64) {
	_, after, found := bytes.Cut(frame, []byte(`"token":`))
	if !found {
		return
	}
	digits := bytes.IndexByte(after, '}')
	token, err := strconv.Atoi(string(after[:max(digits, 0)]))
	k := 2 * token
	if bytes.Contains(frame[:min(64, len(frame))], []byte("event: call.ended")) {
		k++
	}
	if err != nil || k < 0 || k >= mostSeen {
		return
	}
	g.count[k].Add(1)
	for {
		was := g.last[k].Load()
		if now <= was || g.last[k].CompareAndSwap(was, now) {
			return
		}
	}
}

func (g *readerProcess) seen() map[int]seen {
	all := map[int]seen{}
	for k := range g.last {
		if at := g.last[k].Load(); at > 0 {
			all[k] = seen{at, int(g.count[k].Load())}
		}
	}
	return all
}
