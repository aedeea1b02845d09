// Package guard holds a benchmark against what it came to before. Only ratios of
// one run are compared, of dibs to what stands beside it: a slow machine is slow
// for both.
package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// tolerance is which part of a recorded ratio is enough. Rounds of a second on a
// shared machine differ by a fifth; what this is to notice is larger.
const tolerance = 0.65

// Guard compares ratios with a file of them.
type Guard struct {
	file     string
	record   bool
	recorded map[string]float64
	seen     map[string]float64
}

// Open reads the ratios in a file. With record they are replaced by what is seen;
// those that are not seen stay. Without a file everything is in order.
func Open(file string, record bool) (*Guard, error) {
	g := &Guard{file: file, record: record, recorded: map[string]float64{}, seen: map[string]float64{}}
	if file == "" {
		return g, nil
	}
	text, err := os.ReadFile(file)
	if record && errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return nil, err
	}
	return g, json.Unmarshal(text, &g.recorded)
}

// See notes how many times dibs is as fast as what name says.
func (g *Guard) See(name string, ratio float64) { g.seen[name] = ratio }

// Close compares, or records. Its error names every ratio that fell too far.
func (g *Guard) Close() error {
	if g.file == "" {
		return nil
	}
	if g.record {
		maps.Copy(g.recorded, g.seen)
		text, err := json.MarshalIndent(g.recorded, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(g.file, append(text, '\n'), 0o644)
	}
	var fell []string
	for _, name := range slices.Sorted(maps.Keys(g.seen)) {
		was, known := g.recorded[name]
		if known && g.seen[name] < was*tolerance {
			fell = append(fell, fmt.Sprintf("  %s: %.2f, was %.2f", name, g.seen[name], was))
		}
	}
	if len(fell) == 0 {
		return nil
	}
	return fmt.Errorf("dibs fell behind what %s has recorded:\n%s", g.file, strings.Join(fell, "\n"))
}
