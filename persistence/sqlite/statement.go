package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// statement is a prepared statement of the connection that writes. It speaks to the
// driver itself: what database/sql does around each (locks, contexts, copies) takes
// about as long as half of what SQLite does, and a start or an end is two of them.
// Whoever has the writer's slot uses it.
type statement struct {
	prepared preparedStatement
	args     []driver.NamedValue // of the last use; the slice is used again
	row      []driver.Value      // likewise
}

type preparedStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

var errDriver = errors.New("a defect: the driver of SQLite is not as it was")

func prepare(conn driver.Conn, query string) (*statement, error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return nil, err
	}
	prepared, ok := stmt.(preparedStatement)
	if !ok {
		return nil, errors.Join(errDriver, stmt.Close())
	}
	return &statement{prepared: prepared}, nil
}

// bind takes the parameters ?1, ?2 and so on.
func (s *statement) bind(args []any) error {
	s.args = s.args[:0]
	for i, arg := range args {
		value, err := driver.DefaultParameterConverter.ConvertValue(arg)
		if err != nil {
			return fmt.Errorf("parameter %d: %w", i+1, err)
		}
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: value})
	}
	return nil
}

// exec returns how many rows the statement changed.
func (s *statement) exec(args []any) (int64, error) {
	if err := s.bind(args); err != nil {
		return 0, err
	}
	r, err := s.prepared.ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// get scans the first row, if there is one.
func (s *statement) get(args, dest []any) (found bool, err error) {
	if err := s.bind(args); err != nil {
		return false, err
	}
	rows, err := s.prepared.QueryContext(context.Background(), s.args)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	if err := rows.Next(s.row); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if len(dest) != len(s.row) {
		return true, fmt.Errorf("%d columns for %d destinations", len(s.row), len(dest))
	}
	for i, value := range s.row {
		if err := assign(dest[i], value); err != nil {
			return true, fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return true, nil
}

func (s *statement) close() error { return s.prepared.Close() }

// assign puts a value of SQLite where it belongs.
func assign(dest, value any) error {
	switch to := dest.(type) {
	case sql.Scanner:
		return to.Scan(value)
	case *string:
		if v, ok := value.(string); ok {
			*to = v
			return nil
		}
	case *int64:
		if v, ok := value.(int64); ok {
			*to = v
			return nil
		}
	case *bool:
		if v, ok := value.(int64); ok {
			*to = v != 0
			return nil
		}
	}
	return assignByKind(reflect.ValueOf(dest).Elem(), value)
}

// assignByKind is assign for what is rare: a pointer, which is nil for NULL, bytes,
// and types of this project whose kind SQLite knows.
func assignByKind(to reflect.Value, value any) error {
	switch v := value.(type) {
	case nil:
		if to.Kind() == reflect.Pointer {
			to.SetZero()
			return nil
		}
	case string:
		if to.Kind() == reflect.String {
			to.SetString(v)
			return nil
		}
	case int64:
		if to.CanInt() && !to.OverflowInt(v) {
			to.SetInt(v)
			return nil
		}
	case []byte:
		if to.Type() == reflect.TypeFor[[]byte]() {
			to.SetBytes(v)
			return nil
		}
	}
	if value != nil && to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		return assign(to.Interface(), value)
	}
	return fmt.Errorf("a %T for a %s", value, to.Type())
}
