package postgres_test

import (
	"testing"

	"github.com/dibs-calls/dibs/persistence/pgtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Runner{M: m}) }
