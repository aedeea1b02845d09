package postgres

import (
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5/pgconn"
)

// Who was in the way of one batch says nothing about the server: it is not
// away, and everybody else's batches are taken.
func TestContentionIsNoOutage(t *testing.T) {
	for _, err := range []error{
		errCrowded,
		&pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "40001"},
		&pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "40P01"},
		&pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "55P03"},
	} {
		wrapped := wrap(err)
		if got := messages.CodeOf(wrapped); got != messages.CodeOverloaded {
			t.Errorf("%v: code %q, want %q", err, got, messages.CodeOverloaded)
		}
		if judge(wrapped) != persistence.VerdictRetry {
			t.Errorf("%v is not tried again", err)
		}
	}
}
