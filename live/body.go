package live

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/flate"
)

// group is a part of the list: its users' JSON with commas between them, of
// everybody and of those on a call.
type group struct{ all, onCall segment }

// segment is text and the same as DEFLATE blocks that stand for themselves: they
// refer to nothing before them and end at a byte boundary, so that segments can
// be put together in any order without compressing them again.
type segment struct {
	plain  []byte
	zipped []byte // nil: not asked for yet
}

func newGroup(l lines) group {
	return group{all: segment{plain: l.text}, onCall: segment{plain: bytes.Join(l.onCall, []byte{','})}}
}

func (g *group) segment(onCall bool) *segment {
	if onCall {
		return &g.onCall
	}
	return &g.all
}

const (
	listHead  = `{"users":[`
	listTail  = `],"stale":false}`
	staleTail = `],"stale":true}`
)

func (l *list) tail() string {
	if l.stale {
		return staleTail
	}
	return listTail
}

// plain puts the body together.
func (l *list) plain(onCall bool) []byte {
	size := len(listHead) + len(listTail)
	for i := range l.groups {
		size += len(l.groups[i].segment(onCall).plain) + 1
	}
	out := append(make([]byte, 0, size), listHead...)
	for i := range l.groups {
		if s := l.groups[i].segment(onCall); len(s.plain) > 0 {
			if len(out) > len(listHead) {
				out = append(out, ',')
			}
			out = append(out, s.plain...)
		}
	}
	return append(out, l.tail()...)
}

// zip puts the body together as one gzip member (RFC 1952) of DEFLATE blocks
// (RFC 1951). Only segments that changed are compressed.
func (l *list) zip(onCall bool) []byte {
	z := newZipper(l.compress(onCall))
	z.stored(listHead, false)
	first := true
	for i := range l.groups {
		s := l.groups[i].segment(onCall)
		if len(s.plain) == 0 {
			continue
		}
		if !first {
			z.stored(",", false)
		}
		first = false
		z.segment(s)
	}
	z.stored(l.tail(), true)
	return z.end()
}

// compress makes the missing zipped forms, and returns the size of all.
func (l *list) compress(onCall bool) (size int) {
	for i := range l.groups {
		s := l.groups[i].segment(onCall)
		if s.zipped == nil && len(s.plain) > 0 {
			s.zipped = l.deflate.segment(s.plain)
		}
		size += len(s.zipped) + storedHeader + 1
	}
	return size
}

// deflater compresses segments, one at a time.
type deflater struct {
	w   *flate.Writer // large, and made to be used again
	buf bytes.Buffer
}

func (d *deflater) segment(plain []byte) []byte {
	d.buf.Reset()
	if d.w == nil {
		d.w, _ = flate.NewWriter(&d.buf, compressionLevel) // fails on an unknown level alone
	} else {
		d.w.Reset(&d.buf)
	}
	_, _ = d.w.Write(plain) // into memory
	_ = d.w.Flush()         // ends at a byte boundary
	return bytes.Clone(d.buf.Bytes())
}

const (
	// compressionLevel: a body is written far more often than compressed.
	compressionLevel = 6
	storedHeader     = 5
)

// zipper writes one gzip member.
type zipper struct {
	out    []byte
	crc    uint32
	length uint32 // modulo 2^32, as the format has it
}

func newZipper(size int) *zipper {
	const frame = 10 + 8 + 2*storedHeader + len(listHead) + len(listTail)
	z := &zipper{out: make([]byte, 0, size+frame)}
	// Magic, DEFLATE, no flags, no time, no extra flags, unknown system.
	z.out = append(z.out, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255)
	return z
}

// stored writes text as a block of its own, not compressed.
func (z *zipper) stored(text string, final bool) {
	kind := byte(0)
	if final {
		kind = 1
	}
	z.out = append(z.out, kind)
	z.out = binary.LittleEndian.AppendUint16(z.out, uint16(len(text)))
	z.out = binary.LittleEndian.AppendUint16(z.out, ^uint16(len(text)))
	z.out = append(z.out, text...)
	z.count([]byte(text))
}

func (z *zipper) segment(s *segment) {
	z.out = append(z.out, s.zipped...)
	z.count(s.plain)
}

func (z *zipper) count(plain []byte) {
	z.crc = crc32.Update(z.crc, crc32.IEEETable, plain)
	z.length += uint32(len(plain))
}

func (z *zipper) end() []byte {
	z.out = binary.LittleEndian.AppendUint32(z.out, z.crc)
	return binary.LittleEndian.AppendUint32(z.out, z.length)
}
