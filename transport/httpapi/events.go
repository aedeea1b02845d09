package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// streamTimes are the times of streams.
type streamTimes struct {
	// stall is how long a reader may keep us from sending a piece. It is longer
	// than the pause between heartbeats, so that the deadline need not be taken
	// back after each write.
	stall time.Duration
	// A session is checked again after check and at most a tenth less, so that
	// readers who came together do not ask the store together. With
	// principalTTL it ends a stream within 15 s of a revocation.
	check time.Duration
	// recheck is the pause after the store could not be asked.
	recheck time.Duration
}

func defaultStreamTimes() streamTimes {
	return streamTimes{stall: 25 * time.Second, check: 12 * time.Second, recheck: 2 * time.Second}
}

const readersRetry = 5 * time.Second

// piece is how much a reader has to take within streamTimes.stall. A snapshot is
// megabytes, and a telephone on a bad line may take minutes for it: as long as it
// goes on reading, at 5 KB a second or more, it is not cut off.
const piece = 128 << 10

var (
	errSessionOver = errors.New("httpapi: the session has ended")
	errStreamOver  = errors.New("httpapi: the stream was ended while a frame was being sent")
)

// events streams who begins and ends calls.
func (a *API) events(ctx context.Context, x *exchange) error {
	if a.Live == nil {
		return &problem{Code: messages.CodeUnavailable, Sentence: "This server has no live events."}
	}
	leave, err := a.readers.enter(x.who.Caller())
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(a.streaming, func() { cancel(http.ErrServerClosed) })()
	defer a.watchSession(ctx, x.digest, cancel)()

	s := &stream{x: x, to: http.NewResponseController(x.w), stall: a.times.stall, over: ctx.Done()}
	if x.r.Method == http.MethodHead {
		s.begin()
		return nil
	}
	err = a.Live.Stream(ctx, lastEventID(x.r), s.send)
	if x.status == 0 {
		return asRead(err)
	}
	a.Log.LogAttrs(ctx, slog.LevelDebug, "stream ended", slog.Any("cause", err), slog.Any("because", context.Cause(ctx)))
	return nil
}

// lastEventID is what the reader saw last. What is longer than any id that was
// given out is none.
func lastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); len(id) <= 64 {
		return id
	}
	return ""
}

// stream writes frames to one reader. It belongs to the goroutine that serves
// the request.
type stream struct {
	x        *exchange
	to       *http.ResponseController
	stall    time.Duration
	deadline time.Time
	over     <-chan struct{} // somebody has ended it
}

// begin sends the header. The server's own timeouts are for answers that end.
func (s *stream) begin() {
	_ = s.to.SetReadDeadline(time.Time{}) // else the server takes a quiet reader for a gone one
	h := s.x.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would collect frames
	if s.x.r.ProtoMajor == 1 {
		// The end of the connection is the end of the stream: without chunks,
		// frames go out in one write, which is half of what a reader costs.
		h.Set("Transfer-Encoding", "identity")
	}
	s.x.writeHeader(http.StatusOK)
}

// send writes frames through to the reader. An error means that the reader is
// gone, or has read nothing for too long.
func (s *stream) send(frames []byte) error {
	for len(frames) > piece {
		if err := s.write(frames[:piece]); err != nil {
			return err
		}
		frames = frames[piece:]
		select {
		case <-s.over:
			return errStreamOver
		default:
		}
	}
	if err := s.write(frames); err != nil {
		return err
	}
	return s.to.Flush()
}

func (s *stream) write(b []byte) error {
	// The wall clock and not the API's: the network knows no other. A deadline
	// is not moved for the sake of a little.
	if deadline := time.Now().Add(s.stall); deadline.Sub(s.deadline) >= s.stall/16 {
		// Not supported by the recorders of tests alone.
		if err := s.to.SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		s.deadline = deadline
	}
	if s.x.status == 0 {
		s.begin()
	}
	_, err := s.x.w.Write(b)
	return err
}

// watchSession ends a stream when its session has ended. While the store cannot
// be asked, the stream goes on: nobody said that it may not.
func (a *API) watchSession(ctx context.Context, digest [32]byte, end context.CancelCauseFunc) (stop func()) {
	w := &sessionWatch{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(a.times.next(), func() {
		again := a.times.next()
		switch _, err := a.principal(ctx, digest); {
		case err == nil:
		case problemOf(err, http.MethodGet).Code == messages.CodeUnauthenticated:
			end(errSessionOver)
			return
		default:
			again = a.times.recheck
		}
		w.again(again)
	})
	return w.stop
}

func (t streamTimes) next() time.Duration { return t.check - rand.N(t.check/10) }

// sessionWatch is a timer that starts itself again until it is stopped.
type sessionWatch struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func (w *sessionWatch) again(after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.timer.Reset(after)
	}
}

func (w *sessionWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
