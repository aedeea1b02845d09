package wire

import "strconv"

// readPlain reads a change that is written as programs write it: one object of
// fields that a Change has, texts without escapes, whole numbers. It is false, and
// the change half read, for everything else, also for what is wrong: encoding/json
// reads that, and says what is the matter. A test holds the two together. s is
// valid UTF-8; what is read shares its memory.
func (in *Change) readPlain(s string) bool {
	p := plain{s}
	if !p.skip('{') {
		return false
	}
	for first := true; !p.skip('}'); first = false {
		if !first && !p.skip(',') {
			return false
		}
		name, ok := p.text()
		if !ok || !p.skip(':') || !in.readField(&p, name) {
			return false
		}
	}
	p.space()
	return p.rest == ""
}

func (in *Change) readField(p *plain, name string) (ok bool) {
	switch name {
	case "action":
		in.Action, ok = p.text()
	case "user_id":
		in.UserID, ok = p.text()
	case "user_email":
		in.UserEmail, ok = p.text()
	case "client_id":
		in.ClientID, ok = p.text()
	case "client_phone":
		in.ClientPhone, ok = p.text()
	case "call_id":
		in.CallID, ok = p.text()
	case "token":
		in.Token, ok = p.number()
	case "lease_seconds":
		in.LeaseSeconds, ok = p.number()
	case "disposition":
		in.Disposition, ok = p.text()
	case "notes":
		in.Notes, ok = p.text()
	}
	return ok
}

// plain is JSON that is being read.
type plain struct{ rest string }

func (p *plain) space() {
	for p.rest != "" && (p.rest[0] == ' ' || p.rest[0] == '\n' || p.rest[0] == '\r' || p.rest[0] == '\t') {
		p.rest = p.rest[1:]
	}
}

// skip goes past c, which may have space before it.
func (p *plain) skip(c byte) bool {
	p.space()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// text is a string without escapes.
func (p *plain) text() (string, bool) {
	if !p.skip('"') {
		return "", false
	}
	for i := range len(p.rest) {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			return s, true
		case c == '\\', c < ' ':
			return "", false
		}
	}
	return "", false
}

// number is a whole number as JSON has it: no plus sign, no zeros before it.
func (p *plain) number() (*int64, bool) {
	p.space()
	end := 0
	for end < len(p.rest) && (p.rest[end] == '-' || p.rest[end] >= '0' && p.rest[end] <= '9') {
		end++
	}
	digits := p.rest[:end]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != digits {
		return nil, false
	}
	p.rest = p.rest[end:]
	return &n, true // what follows must be a comma or the end, so "1.5" is refused there
}
