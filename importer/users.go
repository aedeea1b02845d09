package importer

import (
	"fmt"
	"io"
	"net/mail"
	"strings"

	"github.com/dibs-calls/dibs/messages"
)

// UserRow is one person of a file. Password is as it was written, empty for
// somebody who cannot sign in until one is set.
type UserRow struct {
	Line     int // the physical line on which the record begins, from 1
	User     messages.User
	Password string
}

// Users reads the people of a file. See the package comment for its rules; what
// is remembered of a person is their e-mail address.
type Users struct {
	table *table
	cols  columns
	seen  map[string]int // line by e-mail address in lower case
}

// NewUsers reads the header of a file. Errors: *HeaderError, and those of src.
func NewUsers(src io.Reader) (*Users, error) {
	t, err := newTable(src, func(h []string) int { return count(h, UserColumns()) })
	if err != nil {
		return nil, err
	}
	u := &Users{table: t, cols: resolve(t.header, UserColumns()), seen: make(map[string]int)}
	if !u.cols.has(fieldEmail) {
		return nil, &HeaderError{fmt.Sprintf("no column holds an e-mail address: the first line must name the columns (email, first_name, last_name, role, password); it reads %q",
			clip(strings.Join(t.header, string(t.comma))))}
	}
	return u, nil
}

// Ignored returns the headers of the columns that are not read: people have no
// attributes to keep them in.
func (u *Users) Ignored() []string {
	var names []string
	for _, i := range u.cols.rest {
		if u.table.header[i] != "" {
			names = append(names, u.table.header[i])
		}
	}
	return names
}

// Next returns the next person; io.EOF behind the last. After a *[BadLine] or a
// *[Duplicate] reading goes on; any other error ends it.
func (u *Users) Next() (UserRow, error) {
	row, err := u.table.next()
	if err != nil {
		return UserRow{}, err
	}
	user, reason := u.user(row.cells)
	if reason != "" {
		return UserRow{}, &BadLine{row.line, reason}
	}
	address := strings.ToLower(user.Email)
	if first, ok := u.seen[address]; ok {
		return UserRow{}, &Duplicate{row.line, first, user.Email}
	}
	u.seen[strings.Clone(address)] = row.line // not the whole record
	return UserRow{row.line, user, u.cols.raw(row.cells, fieldPassword)}, nil
}

func (u *Users) user(cells []string) (user messages.User, reason string) {
	email, err := Email(u.cols.text(cells, fieldEmail))
	if err != nil {
		return user, err.Error()
	}
	role, err := PersonRole(u.cols.text(cells, fieldRole))
	if err != nil {
		return user, err.Error()
	}
	user = messages.User{Email: email, Role: role}
	user.FirstName, user.LastName = personName(u.cols, cells)
	if err := PersonName(user.FirstName, user.LastName); err != nil {
		return user, err.Error()
	}
	return user, ""
}

// PersonName checks how long a name is, first and last together. The error is a
// sentence for a person.
func PersonName(first, last string) error {
	if !messages.NameFits(first, last) {
		return fmt.Errorf("the name has more than %d characters", messages.MaxName)
	}
	return nil
}

// Email returns an e-mail address without the space around it. The error is a
// sentence for a person.
func Email(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", fmt.Errorf("there is no e-mail address")
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > messages.MaxEmail {
		return "", fmt.Errorf("%q is not an e-mail address", clip(s))
	}
	return s, nil
}

// PersonRole returns the role that a word stands for; none is a user. A person
// cannot be a service. The error is a sentence for a person.
func PersonRole(s string) (messages.Role, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "user", "agent", "member":
		return messages.RoleUser, nil
	case "admin", "administrator":
		return messages.RoleAdmin, nil
	}
	return "", fmt.Errorf("role %q is neither user nor admin", clip(s))
}
