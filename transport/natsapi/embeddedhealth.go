package natsapi

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// health starts the embedded server anew after its disk was full.
//
// A server that found no room while it wrote marks the stream as broken, or switches
// JetStream off if it is one of several, and stays so when there is room again: nothing
// would be published until somebody starts it again. For a server inside the process
// that could be the process alone. What it had acknowledged is in its files; what it
// had not is in the outbox; and whoever is connected connects again by itself.
//
// It says nothing about a disk that loses what was written: see [Embedded.Sync].
type health struct {
	files    *syncer     // is told of a flush of the server's that failed
	full     atomic.Bool // since it was started the server found no room
	stopping chan struct{}
	stopped  chan struct{} // nil: nobody watches
}

const (
	// lookEvery is how often the folder of a server without room is tried.
	lookEvery = time.Second
	// enoughRoom is what must fit before the server is started anew: more than it writes
	// while it starts, and so little that trying it takes nothing from others who could
	// still use what is left.
	enoughRoom = 256 << 10
	// restartPause is from one new start to the next at least: on a disk that is full
	// more often than not, readers are not to be disturbed all the time.
	restartPause = 10 * time.Second
)

func newHealth(files *syncer) *health {
	return &health{files: files, stopping: make(chan struct{})}
}

// heard looks for errors among what the server says in its log: it tells nobody else
// that it found no room, or that a flush failed. What is no error may be the words of
// somebody who connected.
func (h *health) heard(said []any) {
	for _, v := range said {
		err, ok := v.(error)
		switch {
		case !ok:
		case failedFlush(err, h.files.root):
			_ = h.files.fail(err) // Sync says so from now on
		case noRoom(err):
			h.full.Store(true)
		}
	}
}

// noRoom: of many errors the server keeps only the text.
func noRoom(err error) bool {
	for _, reason := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, reason) || strings.Contains(err.Error(), reason.Error()) {
			return true
		}
	}
	return false
}

// failedFlush reports whether a file below root could not be flushed, for whatever
// reason: the next flush of it may succeed although something is lost.
func failedFlush(err error, root string) bool {
	var file *fs.PathError
	return errors.As(err, &file) && file.Op == "sync" || strings.Contains(err.Error(), "sync "+root)
}

// watch looks after e, which has been started with cfg, until close.
func (h *health) watch(e *Embedded, cfg EmbeddedConfig, log *slog.Logger) {
	if address := e.Addr(); cfg.Listen != "" && address != nil {
		cfg.Listen = address.String() // the same port again, if any would do
	}
	h.stopped = make(chan struct{})
	go func() {
		defer close(h.stopped)
		said := false
		for h.pause(lookEvery) {
			if !h.curable() {
				continue
			}
			if !said {
				log.Error("the disk under the embedded NATS server is full: events wait in the store until there is room", "folder", cfg.Dir)
				said = true
			}
			if tryRoom(cfg.Dir) != nil {
				continue
			}
			said = false
			h.restart(e, cfg, log)
			if !h.pause(restartPause) {
				return
			}
		}
	}()
}

// curable reports whether the server is to be started anew when there is room. After a
// flush that failed only a new process helps, which publishes again what is in doubt.
func (h *health) curable() bool { return h.full.Load() && h.files.failed() == nil }

// restart is a new start of the process, as far as the server is concerned.
func (h *health) restart(e *Embedded, cfg EmbeddedConfig, log *slog.Logger) {
	log.Warn("there is room again: starting the embedded NATS server anew", "folder", cfg.Dir)
	e.shutdown()
	select {
	case <-h.stopping: // nobody is to wait for a server that is stopped at once
		return
	default:
	}
	h.full.Store(false)
	if err := e.start(cfg, log); err != nil {
		log.Error("the embedded NATS server does not start after its disk was full; trying on", "error", err)
		h.full.Store(true)
		return
	}
	log.Info("the embedded NATS server runs again")
}

// pause waits; false: it is to end.
func (h *health) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.stopping:
		return false
	}
}

// close ends the watch, and waits for it. It is called once.
func (h *health) close() {
	close(h.stopping)
	if h.stopped != nil {
		<-h.stopped
	}
}

// tryRoom reports why not as much as [enoughRoom] can be written in a folder, if so.
func tryRoom(dir string) error {
	path := filepath.Join(dir, "room") // always the same: a process that is killed leaves one
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, enoughRoom))
	if err == nil {
		err = f.Sync() // some file systems find out late
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}

// current connects to the server that runs at that moment.
type current struct{ e *Embedded }

// InProcessConn implements [nats.InProcessConnProvider]. A server that still reads its
// streams lets nobody in: a stream that it has not come to would be made anew.
func (c current) InProcessConn() (net.Conn, error) {
	if !c.e.ready.Load() {
		return nil, errors.New("the embedded NATS server does not run")
	}
	conn, err := c.e.server.Load().InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("the embedded NATS server does not run: %w", err)
	}
	return conn, nil
}
