package importer

import (
	"math"
	"strconv"
	"strings"
)

// seenNumbers remembers on which line each number was taken. An E.164 number
// has at most 15 digits and none begins with 0, so its digits are an integer
// that stands for it exactly.
type seenNumbers map[uint64]uint32

// add remembers number, and returns the line on which it was before, 0 if it
// was not. A number that is not E.164 is never remembered.
func (s seenNumbers) add(number string, line int) (before int) {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok || len(digits) > 15 {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	if first, ok := s[n]; ok {
		return int(first)
	}
	s[n] = uint32(min(line, math.MaxUint32))
	return 0
}
