package natsapi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// syncer brings to stable storage what others wrote below a folder, by flushing
// each file and folder that changed since it last did. It knows nothing of what
// the files mean.
type syncer struct {
	root string
	// flush is (*os.File).Sync; tests look on.
	flush func(*os.File) error

	mu   sync.Mutex           // held while flushing, and guards:
	seen map[string]fileState // of files and folders as they were when flushed

	broken atomic.Pointer[error] // the first flush that failed, here or in the server
}

type fileState struct {
	size    int64
	changed time.Time
}

// clockTick is more than the granularity of the times of files: a file changed
// so recently may change again without another time.
const clockTick = 50 * time.Millisecond

func newSyncer(root string) *syncer {
	return &syncer{root: root, flush: (*os.File).Sync, seen: map[string]fileState{}}
}

func (s *syncer) failed() error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *syncer) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	now := make(map[string]fileState, len(s.seen))
	if err := filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		return s.visit(now, path, entry, err)
	}); err != nil {
		return err
	}
	s.seen = now
	return s.failed() // meanwhile, and not here
}

// fail makes every flush from now on fail: what was written may be lost, and nobody
// would be told again. It returns what is said from then on.
func (s *syncer) fail(cause error) error {
	err := fmt.Errorf("the disk under the embedded NATS server does not keep what is written; events stay in the store until a restart: %w", cause)
	s.broken.CompareAndSwap(nil, &err)
	return err
}

// visit flushes one file or folder. A file that is gone meanwhile was removed by
// the server, and is nobody's loss.
func (s *syncer) visit(now map[string]fileState, path string, entry fs.DirEntry, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	state := fileState{info.Size(), info.ModTime()}
	old, known := s.seen[path]
	if known && old == state {
		now[path] = state
		return nil
	}
	if err := s.flushFile(path, entry); err != nil {
		return err
	}
	if time.Since(state.changed) > clockTick {
		now[path] = state
	}
	return nil
}

func (s *syncer) flushFile(path string, entry fs.DirEntry) error {
	mode := os.O_RDWR
	switch {
	case entry.IsDir() && runtime.GOOS == "windows":
		return nil // has no such thing
	case entry.IsDir():
		mode = os.O_RDONLY
	case !entry.Type().IsRegular():
		return nil
	}
	f, err := os.OpenFile(path, mode, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.flush(f); err != nil {
		return errors.Join(s.fail(err), f.Close())
	}
	return f.Close()
}
