package natsapi

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// controlSocket is where commands on the same machine reach the server inside a
// running process, which need not have a port: a socket in its folder, for
// whoever may read that folder. The folder holds everything anyway.
const controlSocket = "control.sock"

// control hands connections on the socket to the server.
type control struct {
	listener net.Listener
	server   *server.Server
	log      *slog.Logger
	made     string // the folder of a socket elsewhere; empty: there is none
	closing  chan struct{}

	mu   sync.Mutex
	open map[net.Conn]struct{} // guarded by mu; nil when closed
	work sync.WaitGroup
}

func listenControl(dir string, s *server.Server, log *slog.Logger) (*control, error) {
	c := &control{server: s, log: log, closing: make(chan struct{}), open: map[net.Conn]struct{}{}}
	path := filepath.Join(dir, controlSocket)
	removeStale(path)
	listener, err := listenPrivately(path)
	if err != nil && len(path) > longestSocket {
		listener, err = c.listenElsewhere(path)
	}
	if err != nil {
		return nil, err
	}
	c.listener = listener
	c.work.Go(c.accept)
	return c, nil
}

// longestSocket is what operating systems surely take as the path of a socket.
const longestSocket = 100

// listenElsewhere makes the socket in a folder with a short name, and a link to
// it.
func (c *control) listenElsewhere(link string) (_ net.Listener, err error) {
	if c.made, err = os.MkdirTemp("", "dibs-"); err != nil {
		return nil, err
	}
	path := filepath.Join(c.made, controlSocket)
	if err := os.Symlink(path, link); err != nil {
		return nil, err
	}
	return listenPrivately(path)
}

func listenPrivately(path string) (net.Listener, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// removeStale removes what a process that was killed has left.
func removeStale(path string) {
	if target, err := os.Readlink(path); err == nil {
		_ = os.Remove(target) // gone, or somebody else's by now
		_ = os.Remove(filepath.Dir(target))
	}
	_ = os.Remove(path) // if it is still there, listening says so
}

// acceptPause is how long nobody is accepted after a failure: too many files are
// open, for one.
const acceptPause = time.Second

func (c *control) accept() {
	trouble := false
	for {
		conn, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !trouble {
				c.log.Warn("commands cannot reach the embedded NATS server; trying on", "error", err)
			}
			trouble = true
			select {
			case <-time.After(acceptPause):
				continue
			case <-c.closing:
				return
			}
		}
		trouble = false
		inside, err := c.server.InProcessConn()
		if err != nil {
			_ = conn.Close() // the server is stopping
			continue
		}
		c.join(conn, inside)
	}
}

// join carries what each side says to the other until one of them ends.
func (c *control) join(a, b net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		_, _ = a.Close(), b.Close()
		return
	}
	c.open[a], c.open[b] = struct{}{}, struct{}{}
	carry := func(from, to net.Conn) {
		_, _ = io.Copy(to, from) // its end is the end of the connection
		c.part(from, to)
	}
	c.work.Go(func() { carry(a, b) })
	c.work.Go(func() { carry(b, a) })
}

func (c *control) part(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.open, conn)
		_ = conn.Close() // may be closed already
	}
}

// close ends all connections. It is called once.
func (c *control) close() {
	close(c.closing)
	_ = c.listener.Close() // removes the socket
	c.mu.Lock()
	open := c.open
	c.open = nil
	for conn := range open {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.work.Wait()
	if c.made != "" {
		_ = os.RemoveAll(c.made)
	}
}

// ErrNoServer says that no server runs on the folder.
var ErrNoServer = errors.New("no server is running on this folder")

// reach connects to the embedded server of another process, through its control
// socket.
func reach(dir string) (nats.InProcessConnProvider, error) {
	path := filepath.Join(dir, controlSocket)
	if target, err := os.Readlink(path); err == nil {
		if !sameOwner(path, filepath.Dir(target)) {
			return nil, fmt.Errorf("%s leads to %s, which is somebody else's: remove it, and restart the server", path, target)
		}
		path = target
	}
	conn, err := net.Dial("unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoServer
	}
	return reached{conn}, err
}

type reached struct{ conn net.Conn }

// InProcessConn implements [nats.InProcessConnProvider].
func (r reached) InProcessConn() (net.Conn, error) { return r.conn, nil }
