package importer

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// toBytes looks at the first bytes of src and returns a stream in which commas,
// quotation marks and line breaks are single bytes: UTF-8 or a one-byte
// encoding as it is, without a byte-order mark, and UTF-16 turned into UTF-8.
// marked says that a byte-order mark promised UTF-8.
func toBytes(src io.Reader) (r io.Reader, marked bool) {
	buffered := bufio.NewReaderSize(src, chunk)
	head, _ := buffered.Peek(4) // an error comes again with the first Read
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		_, _ = buffered.Discard(3)
		return buffered, true
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), looksUTF16(head, 1):
		return fromUTF16(buffered, unicode.LittleEndian), true
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}), looksUTF16(head, 0):
		return fromUTF16(buffered, unicode.BigEndian), true
	}
	return buffered, false
}

// looksUTF16 reports whether two characters of ASCII stand in head as UTF-16,
// with their zero bytes at zero and zero+2: no header begins like that in any
// other encoding.
func looksUTF16(head []byte, zero int) bool {
	return len(head) == 4 && head[zero] == 0 && head[zero+2] == 0 && head[1-zero] != 0 && head[3-zero] != 0
}

func fromUTF16(r io.Reader, order unicode.Endianness) io.Reader {
	return transform.NewReader(r, unicode.UTF16(order, unicode.UseBOM).NewDecoder())
}

// decoder makes UTF-8 of records. A record that is valid UTF-8 is UTF-8; one
// that is not is Windows-1252 (which holds Latin-1), as Western desktop
// programs write it, unless the file has shown that it is UTF-8. That decides
// without reading ahead, and the chance that a name in Windows-1252 is valid
// UTF-8 is negligible.
type decoder struct {
	utf8 bool // the file is known to be UTF-8
}

// decode returns the text of a record, or why it has none. The text may share
// memory with the record.
func (d *decoder) decode(record []byte) (text []byte, reason string) {
	if bytes.IndexByte(record, 0) >= 0 {
		return nil, "it contains a NUL byte"
	}
	ascii := isASCII(record)
	if ascii || utf8.Valid(record) {
		d.utf8 = d.utf8 || !ascii
		return record, ""
	}
	if d.utf8 {
		return nil, "it is not valid UTF-8, which the rest of the file is"
	}
	text, err := charmap.Windows1252.NewDecoder().Bytes(record)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, "it is neither UTF-8 nor Windows-1252"
	}
	return text, ""
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
