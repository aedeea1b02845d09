package postgres

import (
	"errors"
	"io"
	"net"
	"strings"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// errRolledBack: the server answered a commit with a rollback, because a
	// statement before it had failed.
	errRolledBack = errors.New("the server rolled the transaction back")
	// errText: a text that Postgres cannot hold.
	errText = &messages.Error{
		Code: messages.CodeBadRequest, Sentence: "A text holds a NUL character or is not UTF-8, or a JSON value is none.",
	}
	// errCrowded: others took and gave up the same client again and again
	// while a claim looked for who stood in its way.
	errCrowded = errors.New("the holder of a client kept changing")
)

// What Postgres calls a row that a unique index, or a column that must not be
// null, keeps out.
const (
	uniqueViolation  = "23505"
	notNullViolation = "23502"
)

// judge reads an error for the committer.
func judge(err error) persistence.Verdict {
	if errors.Is(err, errCrowded) {
		return persistence.VerdictRetry
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "55P03" || reportedMeanwhile(pg):
			// Serialization failure, deadlock, lock timeout.
			return persistence.VerdictRetry
		case pg.SeverityUnlocalized != "ERROR" || pg.Code == "40003":
			// A session that is ended (FATAL) may have committed just before.
			return persistence.VerdictUnsure
		}
		return persistence.VerdictNotApplied
	}
	if errors.Is(err, errRolledBack) || pgconn.SafeToRetry(err) {
		return persistence.VerdictNotApplied
	}
	return persistence.VerdictUnsure
}

// wrap gives a code to an error of the server or of the way to it.
func wrap(err error) error {
	var coded *messages.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	var pg *pgconn.PgError
	var dial *pgconn.ConnectError
	if errors.As(err, &pg) && !errors.As(err, &dial) {
		return codePg(pg)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return err
	case errors.Is(err, errCrowded):
		return &messages.Error{Code: messages.CodeOverloaded, Cause: err}
	}
	return &messages.Error{Code: messages.CodeUnavailable, Cause: err}
}

// reportedMeanwhile reports whether another transaction has recorded a report
// since this one looked for it.
func reportedMeanwhile(pg *pgconn.PgError) bool {
	return pg.Code == uniqueViolation && (pg.ConstraintName == "reported_events_pkey" || pg.ConstraintName == "reported_calls_pkey")
}

// ourFault reports whether the store itself broke what an index holds: a claim was
// made beside another one (I1, I2), or a token was given twice (I6).
func ourFault(pg *pgconn.PgError) bool {
	return pg.Code == uniqueViolation && (pg.TableName == "claims" || pg.TableName == "calls")
}

func codePg(pg *pgconn.PgError) error {
	switch {
	case reportedMeanwhile(pg):
		return &messages.Error{Code: messages.CodeOverloaded, Cause: pg}
	case ourFault(pg):
		return &messages.Error{Code: messages.CodeInternal, Cause: pg}
	}
	switch pg.Code {
	case "25006", // read-only transaction
		"55000", // a standby
		"57014": // canceled
		return &messages.Error{Code: messages.CodeUnavailable, Cause: pg}
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock timeout
		// Others were in the way of this transaction; the server is well, and
		// takes everybody else's.
		return &messages.Error{Code: messages.CodeOverloaded, Cause: pg}
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "08", "40", "53", "57", "58": // connection, conflict, resources, shutdown, system
		return &messages.Error{Code: messages.CodeUnavailable, Cause: pg}
	case "22", "23": // a value that Postgres cannot hold, an id that is taken
		return &messages.Error{Code: messages.CodeBadRequest, Cause: pg}
	}
	return &messages.Error{Code: messages.CodeInternal, Cause: pg}
}

// lostServer reports whether the error came of a connection that broke or was
// ended from the other side. A context that ended says nothing of the server.
func lostServer(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57P")
	}
	if err == nil || pgconn.Timeout(err) {
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

func isUniqueViolation(err error, index string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == uniqueViolation && pg.ConstraintName == index
}

func coded(code messages.Code) error { return &messages.Error{Code: code} }
