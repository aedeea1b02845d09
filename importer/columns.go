package importer

import (
	"strings"
	"unicode"
)

// field is what a column means to us.
type field int

const (
	fieldNone field = iota // unknown: kept in a client's attributes
	fieldID
	fieldName
	fieldFirst
	fieldMiddle
	fieldLast
	fieldCompany
	fieldPhone
	fieldPhoneCode
	fieldEmail
	fieldNotes
	fieldAttributes
	fieldIgnored
	fieldRole
	fieldPassword
)

// Column lists the headers under which programs export one field, best first:
// of two columns with a number, the one named earlier is tried first. Case,
// spaces and punctuation do not matter ("First Name", "first_name" and
// "FirstName" are one).
type Column struct {
	Meaning string // for a person
	Names   []string
	field   field
}

// ClientColumns is the table of what people's CRMs and dialers export.
func ClientColumns() []Column {
	return []Column{
		{field: fieldPhone, Meaning: "phone number", Names: []string{
			"Phone Number",                                                             // HubSpot, VICIdial (phone_number)
			"Phone",                                                                    // Salesforce, dibs
			"Phone 1 - Value", "Phone 2 - Value", "Phone 3 - Value", "Phone 4 - Value", // Google Contacts
			"Mobile Phone Number",                                                                   // HubSpot
			"Mobile", "Mobile Phone", "Home Phone", "Other Phone", "Asst. Phone", "Assistant Phone", // Salesforce
			"Primary Phone", "Business Phone", "Work Phone", "Cell Phone", "Cell", "Telephone", "Tel", // Outlook and others
			"Client Phone", "Contact Phone", "Lead Phone", "WhatsApp Phone Number",
			"Telefon", "Telefonnummer", "Mobil", "Mobiltelefon", "Handy", "Téléphone", "Portable", "Teléfono", "Móvil",
			"alt_phone", // VICIdial
		}},
		{field: fieldPhoneCode, Meaning: "country calling code of the phone number", Names: []string{"phone_code"}}, // VICIdial: the country calling code
		{field: fieldName, Meaning: "full name", Names: []string{"Name", "Full Name", "Display Name", "Contact Name", "Client Name", "Lead Name", "Nombre completo"}},
		{field: fieldFirst, Meaning: "first name", Names: []string{"First Name", "Given Name", "Vorname", "Prénom", "Nombre"}},
		{field: fieldMiddle, Meaning: "middle name", Names: []string{"Middle Name", "Additional Name", "middle_initial"}},
		{field: fieldLast, Meaning: "last name", Names: []string{"Last Name", "Family Name", "Surname", "Nachname", "Nom", "Nom de famille", "Apellidos", "Apellido"}},
		{field: fieldCompany, Meaning: "company (kept as an attribute too)", Names: []string{
			"Account Name",                       // Salesforce
			"Company Name", "Associated Company", // HubSpot
			"Organization Name", "Organization 1 - Name", // Google Contacts
			"Company", "Organization", "Firma", "Société", "Empresa",
		}},
		{field: fieldEmail, Meaning: "e-mail address", Names: []string{
			"Email", "Email Address", "E-mail 1 - Value", "E-mail 2 - Value", "E-mail 3 - Value",
			"Work Email", "Contact Email", "E-Mail-Adresse", "Adresse e-mail", "Correo electrónico",
		}},
		{field: fieldNotes, Meaning: "notes", Names: []string{"Notes", "Note", "Comments", "Comment", "Description", "Contact Description", "Notizen", "Remarques", "Notas"}},
	}
}

// ownColumns are the columns of dibs' own export. It keeps every value as it
// is, ids included; the times are made anew by the store.
func ownColumns() []Column {
	return []Column{
		{field: fieldID, Meaning: "id", Names: []string{"id"}},
		{field: fieldName, Meaning: "full name", Names: []string{"name"}},
		{field: fieldPhone, Meaning: "phone number", Names: []string{"phone"}},
		{field: fieldEmail, Meaning: "e-mail address", Names: []string{"email"}},
		{field: fieldNotes, Meaning: "notes", Names: []string{"notes"}},
		{field: fieldAttributes, Meaning: "attributes", Names: []string{"attributes"}},
		{field: fieldIgnored, Meaning: "not read", Names: []string{"created_at", "updated_at"}},
	}
}

// UserColumns is the table for people.
func UserColumns() []Column {
	return []Column{
		{field: fieldEmail, Meaning: "e-mail address", Names: []string{"Email", "Email Address", "User Email", "E-mail 1 - Value", "Work Email", "E-Mail-Adresse"}},
		{field: fieldFirst, Meaning: "first name", Names: []string{"First Name", "Given Name", "Vorname", "Prénom"}},
		{field: fieldLast, Meaning: "last name", Names: []string{"Last Name", "Family Name", "Surname", "Nachname"}},
		{field: fieldName, Meaning: "full name", Names: []string{"Name", "Full Name", "Display Name"}},
		{field: fieldRole, Meaning: "role", Names: []string{"Role", "User Role", "User Type"}},
		{field: fieldPassword, Meaning: "password", Names: []string{"Password", "Initial Password"}},
	}
}

// key is a header without what does not matter.
func key(header string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, header)
}

// columns says which columns of a header hold a field, the best first.
type columns struct {
	of   map[field][]int
	rest []int // columns that mean nothing to us, in order
}

// resolve finds the fields in a header.
func resolve(header []string, table []Column) columns {
	at := make(map[string][]int)
	for i, h := range header {
		at[key(h)] = append(at[key(h)], i)
	}
	c := columns{of: make(map[field][]int)}
	known := make(map[int]bool)
	for _, a := range table {
		for _, name := range a.Names {
			for _, i := range at[key(name)] {
				if !known[i] { // two spellings of one key
					c.of[a.field] = append(c.of[a.field], i)
					known[i] = true
				}
			}
		}
	}
	for i := range header {
		if !known[i] {
			c.rest = append(c.rest, i)
		}
	}
	return c
}

// count returns how many columns of a header are known in one of the tables.
func count(header []string, table []Column) int {
	return len(header) - len(resolve(header, table).rest)
}

// has reports whether there is a column for each of the fields.
func (c columns) has(fields ...field) bool {
	for _, f := range fields {
		if len(c.of[f]) == 0 {
			return false
		}
	}
	return true
}

// value returns the first cell of a field that is not empty, trimmed, and its
// column; -1 if there is none.
func (c columns) value(cells []string, f field) (string, int) {
	for _, i := range c.of[f] {
		if s := strings.TrimSpace(cells[i]); s != "" {
			return s, i
		}
	}
	return "", -1
}

// text is value without the column.
func (c columns) text(cells []string, f field) string {
	s, _ := c.value(cells, f)
	return s
}

// raw returns the cell of a field as it is; empty if there is no such column.
func (c columns) raw(cells []string, f field) string {
	if len(c.of[f]) == 0 {
		return ""
	}
	return cells[c.of[f][0]]
}

// spent returns the columns that go into a name or a number, and are of no use
// beside it.
func (c columns) spent() map[int]bool {
	spent := make(map[int]bool)
	for _, f := range []field{fieldName, fieldFirst, fieldMiddle, fieldLast, fieldPhoneCode} {
		for _, i := range c.of[f] {
			spent[i] = true
		}
	}
	return spent
}
