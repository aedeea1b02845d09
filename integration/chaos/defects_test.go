package chaos

import (
	"fmt"
	"sync"
)

// defects collects what must not be. Of a flood the first are kept.
type defects struct {
	mu    sync.Mutex
	first []string
	count int
}

const keptDefects = 100

func (d *defects) add(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if len(d.first) < keptDefects {
		d.first = append(d.first, text)
	}
}

func (d *defects) addf(format string, args ...any) { d.add(fmt.Sprintf(format, args...)) }

// all returns what was found so far.
func (d *defects) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := append([]string(nil), d.first...)
	if d.count > len(found) {
		found = append(found, fmt.Sprintf("… and %d more", d.count-len(found)))
	}
	return found
}
