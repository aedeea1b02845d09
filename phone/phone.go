// Package phone knows one rule: how a phone number as people write it becomes
// E.164. Whatever comes in (a form, an import, an event) goes through it, so
// that one telephone is one client.
package phone

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// ValidRegion reports whether region can be a default region: the two capital
// letters of a country, as in US or GB.
func ValidRegion(region string) bool {
	return phonenumbers.GetSupportedRegions()[region]
}

// E164 returns a phone number as people write it in E.164 (+12025550123). A
// number without a country is one of the region. An extension is dropped; of
// several numbers in one cell the first that can be understood is taken.
//
// A number is accepted if numbers of its country have that length: the lists of
// ranges in use are never up to date, and a lead refused by an old list is a
// lead lost. The error is a sentence for a person.
func E164(s, region string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", errors.New("there is no phone number")
	}
	if roundedBySpreadsheet.MatchString(s) {
		return "", fmt.Errorf("%q is a phone number that a spreadsheet has rounded; its digits are lost", clip(s))
	}
	number, err := parsePhone(s, region)
	if err == nil {
		return number, nil
	}
	for i, part := range severalNumbers(s) {
		if n, errPart := parsePhone(part, region); errPart == nil {
			return n, nil
		}
		if i == maxParts {
			break
		}
	}
	return "", err
}

// severalNumbers parts a cell where people part numbers; " ::: " is how Google
// Contacts does it.
func severalNumbers(s string) []string {
	s = strings.NewReplacer(":::", "\n", "\r", "\n", " or ", "\n", " and ", "\n", " & ", "\n").Replace(s)
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(";,|/\n", r) })
}

// maxParts is how many parts of a cell are looked at: a cell may be a megabyte.
const maxParts = 8

// WithCode is E164 for a number beside its country calling code, as
// VICIdial keeps them. A code that is none counts for nothing.
func WithCode(code, s, region string) (string, error) {
	code = strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(code), "+"), "0")
	if country, ok := callingCode(code); ok {
		if r := phonenumbers.GetRegionCodeForCountryCode(country); r != "ZZ" {
			region = r
		}
	}
	return E164(s, region)
}

func callingCode(s string) (int, bool) {
	if s == "" || len(s) > 3 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

var (
	// 2.02556E+09: what Excel shows of a long number.
	roundedBySpreadsheet = regexp.MustCompile(`^[0-9]+[.,]?[0-9]*[eE]\+?[0-9]+$`)
	// 2025550123.0: a number that went through a program that thought it one.
	decimalZero = regexp.MustCompile(`^(\+?[0-9]+)\.0$`)
)

func parsePhone(s, region string) (string, error) {
	s = strings.TrimSpace(s)
	if m := decimalZero.FindStringSubmatch(s); m != nil {
		s = m[1]
	}
	number, err := parseOne(s, region)
	if err != nil && strings.HasPrefix(s, "00") {
		// Most of the world dials abroad with 00; a list can hold such numbers
		// where the default region does not.
		if n, errAbroad := parseOne("+"+s[2:], region); errAbroad == nil {
			return n, nil
		}
	}
	return number, err
}

func parseOne(s, region string) (string, error) {
	if len(s) > 250 { // the library's own limit; the sentence is ours
		return "", fmt.Errorf("%q is not a phone number", clip(s))
	}
	n, err := phonenumbers.Parse(s, region)
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return "", fmt.Errorf("%q is a phone number of no country", clip(s))
	case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return "", fmt.Errorf("%q is too short for a phone number", clip(s))
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return "", fmt.Errorf("%q is too long for a phone number", clip(s))
	case err != nil:
		return "", fmt.Errorf("%q is not a phone number", clip(s))
	}
	country := phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.TOO_LONG:
		return "", fmt.Errorf("%q has too many digits for a phone number of %s", clip(s), country)
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "", fmt.Errorf("%q lacks the area code", clip(s))
	default:
		return "", fmt.Errorf("%q has too few digits for a phone number of %s", clip(s), country)
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if isPlaceholder(e164) {
		return "", fmt.Errorf("%q is a phone number that cannot exist", clip(s))
	}
	return e164, nil
}

// isPlaceholder reports whether a number is what people type where a form asks
// for one: in North America, area codes and exchanges begin with 2 to 9, which
// is how its numbering plan is built and will not change.
func isPlaceholder(e164 string) bool {
	if len(e164) != 12 || e164[:2] != "+1" {
		return false
	}
	return e164[2] < '2' || e164[5] < '2'
}

// clip shortens what is quoted in a sentence.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
