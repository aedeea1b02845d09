package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// judge reads an error for the committer. These errors of a COMMIT come before
// its mark is written to the log; of others only the store can tell.
func judge(err error) persistence.Verdict {
	switch code := resultCode(err); {
	case code&0xff == sqlite3.SQLITE_BUSY, code&0xff == sqlite3.SQLITE_FULL, code == sqlite3.SQLITE_IOERR_WRITE:
		return persistence.VerdictNotApplied
	}
	return persistence.VerdictUnsure
}

// wrap gives an error of SQLite the code that it has for the outside. What is
// none of these is a defect of this package, and keeps no code.
func wrap(err error) error {
	if err == nil || messages.CodeOf(err) != messages.CodeInternal {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return unavailable(err)
	}
	switch resultCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return unavailable(err)
	case sqlite3.SQLITE_TOOBIG:
		return badRequest("A text is too long.", err)
	}
	return err
}

func isBusy(err error) bool { return resultCode(err)&0xff == sqlite3.SQLITE_BUSY }

// resultCode is SQLite's extended result code, 0 where err is none of its.
func resultCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code()
}

func unavailable(cause error) error {
	return &messages.Error{Code: messages.CodeUnavailable, Cause: cause}
}

func badRequest(sentence string, cause error) error {
	return &messages.Error{Code: messages.CodeBadRequest, Sentence: sentence, Cause: cause}
}

func coded(code messages.Code) error { return &messages.Error{Code: code} }
