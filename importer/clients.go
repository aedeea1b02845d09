package importer

import (
	"fmt"
	"io"
	"strings"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/phone"
)

// What a client's fields may hold at most: as much as the HTTP API takes, so
// that whoever was imported can be edited. Names and e-mail addresses are checked
// as it does, by package messages.
const (
	maxPhone      = 64       // bytes
	maxNotes      = 16 << 10 // bytes
	maxAttributes = messages.MaxAttributes
)

// ClientRow is one client of a file.
type ClientRow struct {
	Line   int // the physical line on which the record begins, from 1
	Client messages.Client
	// Nameless: the file does not say what the client is called, and its
	// company, address or number stands for a name.
	Nameless bool
	// Warning says, to a person, what of the line has not become what it was meant
	// for; empty: nothing.
	Warning string
}

// Changes returns what the row says of a client who is there already. A cell
// that is empty says nothing, and attributes without a column stay.
func (r ClientRow) Changes(id messages.ClientID) messages.ClientPatch {
	p := messages.ClientPatch{ID: id, Attributes: r.Client.Attributes, Merge: true}
	if !r.Nameless && r.Client.Name != "" {
		p.Name = &r.Client.Name
	}
	if r.Client.Email != "" {
		p.Email = &r.Client.Email
	}
	if strings.TrimSpace(r.Client.Notes) != "" {
		p.Notes = &r.Client.Notes
	}
	return p
}

// Clients reads the clients of a file. See the package comment for its rules.
type Clients struct {
	table  *table
	region string
	own    bool // dibs' own export
	cols   columns
	spent  map[int]bool // columns that are never attributes: names and the like
	keys   [][]byte     // of attributes, as JSON, by column
	seen   seenNumbers
	row    row
}

// NewClients reads the header of a file. Numbers without a country are of
// region, two capital letters. Errors: *HeaderError, and those of src.
func NewClients(src io.Reader, region string) (*Clients, error) {
	if !phone.ValidRegion(region) {
		return nil, fmt.Errorf("%q is not a region with phone numbers: want two capital letters, as in US or GB", clip(region))
	}
	t, err := newTable(src, func(h []string) int { return count(h, ClientColumns()) })
	if err != nil {
		return nil, err
	}
	c := &Clients{table: t, region: region, seen: make(seenNumbers)}
	c.cols = resolve(t.header, ownColumns())
	c.own = c.cols.has(fieldID, fieldName, fieldPhone, fieldAttributes)
	if !c.own {
		c.cols = resolve(t.header, ClientColumns())
	}
	if !c.cols.has(fieldPhone) {
		return nil, &HeaderError{fmt.Sprintf("no column holds a phone number: the first line must name the columns, one of them %q or the like; it reads %q",
			"Phone", clip(strings.Join(t.header, string(t.comma))))}
	}
	c.spent, c.keys = c.cols.spent(), attributeKeys(t.header)
	return c, nil
}

// Next returns the next client; io.EOF behind the last. After a *[BadLine] or a
// *[Duplicate] reading goes on; any other error ends it.
func (c *Clients) Next() (ClientRow, error) {
	var err error
	if c.row, err = c.table.next(); err != nil {
		return ClientRow{}, err
	}
	client, nameless, reason := c.client(c.row.cells)
	warning := ""
	if unread := c.unread(client, c.row.cells); unread != "" {
		warning = fmt.Sprintf("line %d: %q is not an e-mail address, and is kept as an attribute", c.row.line, clip(unread))
	}
	if reason == "" {
		reason = tooLarge(client)
	}
	if reason != "" {
		return ClientRow{}, &BadLine{c.row.line, reason}
	}
	if first := c.seen.add(client.Phone, c.row.line); first != 0 {
		return ClientRow{}, &Duplicate{c.row.line, first, client.Phone}
	}
	return ClientRow{c.row.line, client, nameless, warning}, nil
}

func (c *Clients) client(cells []string) (client messages.Client, nameless bool, reason string) {
	if c.own {
		client, reason = c.ownClient(cells)
		return client, false, reason
	}
	phone, phoneColumn, reason := c.phone(cells)
	if reason != "" {
		return client, false, reason
	}
	email, emailColumn := c.email(cells)
	notes, notesColumn := c.cols.value(cells, fieldNotes)
	client = messages.Client{Name: clientName(c.cols, cells), Phone: phone, Email: email, Notes: lineFeeds(notes)}
	if nameless = client.Name == ""; nameless {
		// Somebody has to be called something: a list of bare numbers is a
		// usual list.
		client.Name = firstOf(c.cols.text(cells, fieldCompany), email, phone)
	}
	client.Attributes = c.attributes(cells, phoneColumn, emailColumn, notesColumn)
	return client, nameless, ""
}

// phone returns the first number that can be understood, and its column.
func (c *Clients) phone(cells []string) (number string, column int, reason string) {
	code := c.cols.text(cells, fieldPhoneCode)
	for _, i := range c.cols.of[fieldPhone] {
		cell := strings.TrimSpace(cells[i])
		if cell == "" {
			continue
		}
		number, err := phone.WithCode(code, cell, c.region)
		if err == nil {
			return number, i, ""
		}
		if reason == "" {
			reason = err.Error()
		}
	}
	if reason == "" {
		reason = "it has no phone number"
	}
	return "", -1, reason
}

// email returns the first address. A cell in which there is none is kept among
// the attributes.
func (c *Clients) email(cells []string) (address string, column int) {
	for _, i := range c.cols.of[fieldEmail] {
		if address := emailIn(cells[i]); address != "" {
			return address, i
		}
	}
	return "", -1
}

// unread is what looks like an e-mail address, of a client who has none, and is not.
func (c *Clients) unread(client messages.Client, cells []string) string {
	if client.Email != "" {
		return ""
	}
	for _, i := range c.cols.of[fieldEmail] {
		if strings.Contains(cells[i], "@") {
			return strings.TrimSpace(cells[i])
		}
	}
	return ""
}

// ownClient reads a row of dibs' own export: what it says is taken as it is, a
// number too that nobody could understand when it was first given. But for an e-mail
// address that is none: there were imports once that took them.
func (c *Clients) ownClient(cells []string) (client messages.Client, reason string) {
	client = messages.Client{
		Name:  c.cols.text(cells, fieldName),
		Phone: c.cols.text(cells, fieldPhone),
		Email: emailIn(c.cols.raw(cells, fieldEmail)),
		Notes: c.cols.raw(cells, fieldNotes),
	}
	if id := c.cols.text(cells, fieldID); id != "" {
		parsed, err := messages.ParseID(id)
		if err != nil {
			return client, "id " + err.Error()
		}
		client.ID = messages.ClientID{UUID: parsed}
	}
	if number, err := phone.E164(client.Phone, c.region); err == nil {
		client.Phone = number
	}
	client.Attributes, reason = ownAttributes(c.cols.text(cells, fieldAttributes), c.unread(client, cells))
	return client, reason
}

func tooLarge(c messages.Client) string {
	switch {
	case !messages.NameFits(c.Name):
		return fmt.Sprintf("the name has more than %d characters", messages.MaxName)
	case len(c.Phone) > maxPhone:
		return fmt.Sprintf("the phone number has more than %d bytes", maxPhone)
	case len(c.Notes) > maxNotes:
		return fmt.Sprintf("the notes have more than %d bytes", maxNotes)
	case len(c.Attributes) > maxAttributes:
		return fmt.Sprintf("the columns that are kept as attributes have more than %d bytes", maxAttributes)
	}
	return ""
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
