// Package heap keeps the garbage collector from running all the time while little
// is alive. Go collects when as much has been allocated as was alive after the last
// collection. A dibs with a few megabytes alive and a hundred thousand messages a
// second would collect dozens of times a second: a quarter of its work, measured.
package heap

import "os"

// FloorBytes is what counts as alive at least: 64 MiB. Garbage may take as much
// again before it is collected.
const FloorBytes = 64 << 20

// Floor makes the collector believe that FloorBytes are alive for as long as what
// it returns is. They are never touched, so they take addresses and no memory.
// Nil where GOGC or GOMEMLIMIT say how the collector is to work.
func Floor() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, FloorBytes)
}
