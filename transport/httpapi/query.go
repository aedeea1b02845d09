package httpapi

import (
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
	// lastRow bounds page*limit, so that no store's offset overflows. There
	// are fewer rows than that, so a page beyond is as empty as the one asked
	// for.
	lastRow = 2_000_000_000
)

// query reads the part of the address after the question mark. It is checked
// whole: a parameter that cannot be read is not a parameter left out.
func (x *exchange) query() (url.Values, error) {
	if x.r.URL.RawQuery == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The part of the address after the question mark cannot be read.")
	}
	return values, nil
}

// paging reads page and limit.
func paging(q url.Values) (page, limit int, err error) {
	if limit, err = number("limit", q.Get("limit"), defaultLimit); err != nil {
		return 0, 0, err
	}
	if limit > maxLimit {
		return 0, 0, badRequest("limit must be a whole number from 1 to %d.", maxLimit)
	}
	if page, err = number("page", q.Get("page"), 1); err != nil {
		return 0, 0, err
	}
	return min(page, lastRow/limit), limit, nil
}

// number reads a whole number from 1 on; one too large for an int is the
// largest.
func number(field, s string, otherwise int) (int, error) {
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		return lastRow, nil
	}
	if err != nil || n < 1 {
		return 0, badRequest("%s must be a whole number from 1 on.", field)
	}
	return int(min(n, lastRow)), nil
}

// flag reads true or false.
func flag(field, s string) (bool, error) {
	switch s {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	}
	return false, badRequest("%s must be true or false.", field)
}

// optionalUserID and optionalClientID read an id that may be left out.
func optionalUserID(field, s string) (id messages.UserID, err error) {
	if s != "" {
		id.UUID, err = parseID(field, s)
	}
	return id, err
}

func optionalClientID(field, s string) (id messages.ClientID, err error) {
	if s != "" {
		id.UUID, err = parseID(field, s)
	}
	return id, err
}

// duration reads a Go duration ("90m") or a number of seconds.
func duration(field, s string, otherwise time.Duration) (time.Duration, error) {
	if s == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(s)
	if seconds, e := strconv.ParseUint(s, 10, 31); e == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d <= 0 || d > 100*365*24*time.Hour {
		return 0, badRequest("%s must be a duration such as 90m, or a number of seconds.", field)
	}
	return d, nil
}

// pages is how many pages of limit rows total rows fill.
func pages(total, limit int) int { return (total + limit - 1) / limit }
