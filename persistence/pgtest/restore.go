package pgtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// BinDir is the folder of Postgres's programs: pg_dump and the others that the
// distribution may keep off the PATH.
func BinDir(t testing.TB) string {
	t.Helper()
	dir, err := findBinaries()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return dir
}

// StartFrom starts a server on a folder that pg_basebackup made of the server s,
// which may be gone. The folder is taken over; the new server's databases, roles
// and passwords are those of s, its port is another. It ends with the test.
func (s *Server) StartFrom(t testing.TB, folder string) *Server {
	t.Helper()
	restored, err := s.from(folder)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := restored.Close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return restored
}

func (s *Server) from(folder string) (_ *Server, err error) {
	dir, err := os.MkdirTemp("", "dibs-pgtest-")
	if err != nil {
		return nil, err
	}
	guard, err := startWatchdog(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	restored := &Server{dir: dir, bin: s.bin, password: s.password, options: s.options, owner: s.owner, guard: guard}
	defer func() {
		if err != nil {
			err = errors.Join(err, restored.Close())
		}
	}()
	if err := os.Rename(folder, restored.data()); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, s.owner.own(path))
	})
	if err != nil {
		return nil, err
	}
	if restored.port, err = freePort(); err != nil {
		return nil, err
	}
	return restored, restored.Start()
}
