package importer

import (
	"encoding/csv"
	"io"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Header is the first line of dibs' own export.
func Header() []string {
	return []string{"id", "name", "phone", "email", "notes", "attributes", "created_at", "updated_at"}
}

// ClientWriter writes clients as CSV that [NewClients] reads again, every value
// as it is.
type ClientWriter struct {
	csv       *csv.Writer
	excelSafe bool
}

// NewClientWriter writes the header. With excelSafe, a cell that a spreadsheet
// would take for a formula (it begins with = + - @, a tab or a line break) gets
// an apostrophe in front, as OWASP recommends against CSV injection, and the
// file a byte-order mark, without which Excel misreads accents. Such a file is
// for people to look at: it is not exactly what the store holds.
func NewClientWriter(w io.Writer, excelSafe bool) (*ClientWriter, error) {
	if excelSafe {
		if _, err := io.WriteString(w, "\ufeff"); err != nil {
			return nil, err
		}
	}
	c := &ClientWriter{csv: csv.NewWriter(w), excelSafe: excelSafe}
	return c, c.csv.Write(Header())
}

// Write writes one client. What is written may be held back until Flush.
func (w *ClientWriter) Write(c messages.Client) error {
	cells := []string{c.ID.String(), c.Name, c.Phone, c.Email, c.Notes, string(c.Attributes),
		c.CreatedAt.UTC().Format(time.RFC3339Nano), c.UpdatedAt.UTC().Format(time.RFC3339Nano)}
	if w.excelSafe {
		for i := range cells {
			cells[i] = defused(cells[i])
		}
	}
	return w.csv.Write(cells)
}

// Flush writes what was held back.
func (w *ClientWriter) Flush() error {
	w.csv.Flush()
	return w.csv.Error()
}

func defused(cell string) string {
	if cell == "" {
		return cell
	}
	switch cell[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return "'" + cell
	}
	return cell
}
