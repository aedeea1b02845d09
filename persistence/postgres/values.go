package postgres

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// uuids is an array of UUIDs; an invalid one is null. It is what pgx makes of a slice,
// except that it hands out pointers: a value would be allocated for each.
type uuids []pgtype.UUID

// Dimensions implements [pgtype.ArrayGetter].
func (u uuids) Dimensions() []pgtype.ArrayDimension {
	if u == nil {
		return nil
	}
	return []pgtype.ArrayDimension{{Length: int32(len(u)), LowerBound: 1}}
}

// Index implements [pgtype.ArrayGetter].
func (u uuids) Index(i int) any { return &u[i] }

// IndexType implements [pgtype.ArrayGetter].
func (uuids) IndexType() any { return new(pgtype.UUID) }

func pgUUID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func uuidsOf[T any](from []T, id func(T) uuid.UUID) uuids {
	to := make(uuids, len(from))
	for i, v := range from {
		to[i] = pgUUID(id(v))
	}
	return to
}

func userUUID(id messages.UserID) uuid.UUID     { return id.UUID }
func clientUUID(id messages.ClientID) uuid.UUID { return id.UUID }

// raw is where pgx scans a UUID into, in its binary form.
func raw(id *uuid.UUID) *[16]byte { return (*[16]byte)(id) }

// checkTexts refuses what Postgres cannot hold in a text, the NUL character and
// what is not UTF-8, before any of the batch is sent.
func checkTexts(writes []messages.Write) error {
	for i := range writes {
		w := &writes[i]
		texts := []string{w.Disposition, w.Notes}
		if w.Key != nil {
			texts = append(texts, w.Key.Caller, w.Key.Value)
		}
		if w.Log != nil {
			texts = append(texts, w.Log.CallType, w.Log.CallStatus, w.Log.Notes)
		}
		if w.Audit != nil {
			texts = append(texts, w.Audit.By, w.Audit.Action, w.Audit.Subject, string(w.Audit.Detail))
			if len(w.Audit.Detail) > 0 && !json.Valid(w.Audit.Detail) {
				return errText
			}
		}
		for _, text := range texts {
			if strings.Contains(text, "\x00") || !utf8.ValidString(text) {
				return errText
			}
		}
	}
	return nil
}

// jsonOrNil is s for a json column: null when it is empty.
func jsonOrNil(s json.RawMessage) *string {
	if len(s) == 0 {
		return nil
	}
	given := string(s)
	return &given
}

// stored is t as the store has it: UTC, in microseconds.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func storedPtr(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	s := stored(*t)
	return &s
}
