package importer

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
)

// lines is a file of n clients that is made while it is read.
type lines struct {
	n, next int
	rest    []byte
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		switch {
		case l.next > l.n:
			return 0, io.EOF
		case l.next == 0:
			l.rest = append(l.rest[:0], "First Name,Last Name,Phone,Email,City\r\n"...)
		default:
			l.rest = fmt.Appendf(l.rest[:0], "First%d,\"Last, %d\",+1202%07d,c%d@example.org,Dover\r\n", l.next, l.next, 2_000_000+l.next, l.next)
		}
		l.next++
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// TestRowsStreamInConstantMemory reads a million rows and looks at the heap on
// the way: what is kept of the table does not grow at all.
func TestRowsStreamInConstantMemory(t *testing.T) {
	rows := 1_000_000
	if testing.Short() {
		rows = 250_000
	}
	table, err := newTable(&lines{n: rows}, func(h []string) int { return count(h, ClientColumns()) })
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	n := 0
	for ; ; n++ {
		if _, err = table.next(); err != nil {
			break
		}
		if n%200_000 == 0 {
			if grown := heap() - before; grown > 4<<20 {
				t.Fatalf("after %d rows the heap has grown by %d bytes", n, grown)
			}
		}
	}
	if !errors.Is(err, io.EOF) || n != rows {
		t.Fatalf("%d rows, %v", n, err)
	}
	runtime.KeepAlive(table)
}

// TestClientsKeepOnlyTheirNumbers holds what is remembered of a client to the
// 40 bytes that the package comment promises.
func TestClientsKeepOnlyTheirNumbers(t *testing.T) {
	const rows = 30_000
	clients, err := NewClients(&lines{n: rows}, "US")
	if err != nil {
		t.Fatal(err)
	}
	// The first row pays for what the phone library makes once.
	if _, err := clients.Next(); err != nil {
		t.Fatal(err)
	}
	before := heap()
	n := 1
	for ; err == nil; n++ {
		_, err = clients.Next()
	}
	if !errors.Is(err, io.EOF) || n != rows+1 {
		t.Fatalf("%d rows, %v", n-1, err)
	}
	if grown := heap() - before; grown > rows*40+1<<20 {
		t.Errorf("%d rows cost %d bytes", rows, grown)
	}
	runtime.KeepAlive(clients)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkClients(b *testing.B) {
	clients, err := NewClients(&lines{n: 1 << 30}, "US")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := clients.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
