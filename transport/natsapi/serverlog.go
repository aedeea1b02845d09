package natsapi

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog gives the embedded server's messages to our logger, one level down
// where it is chatty: its notices are news to nobody but a person who looks for
// a fault.
type serverLog struct {
	log    *slog.Logger
	health *health

	mu    sync.Mutex
	first string // fatal message
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }

// Errorf hands on what may say that the disk is full or broken.
func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error(fmt.Sprintf(format, v...))
	l.health.heard(v)
}

// Fatalf is where the server's own logger would end the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	reason := fmt.Sprintf(format, v...)
	l.log.Error(reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == "" {
		l.first = reason
	}
}

func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}
