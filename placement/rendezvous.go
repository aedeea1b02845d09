package placement

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// Owners is the members among which actors are spread. It is never changed.
type Owners struct {
	ids   []string // sorted
	seeds []uint64
}

// NewOwners returns owners of those ids.
func NewOwners(ids []string) Owners {
	o := Owners{ids: slices.Sorted(slices.Values(ids))}
	for _, id := range o.ids {
		h := fnv.New64a()
		_, _ = h.Write([]byte(id)) // cannot fail
		o.seeds = append(o.seeds, mix(h.Sum64()))
	}
	return o
}

// IDs returns who they are, sorted. It must not be changed.
func (o Owners) IDs() []string { return o.ids }

// Home returns the member at which the actor of id lives: the one of highest weight
// for it (Thaler and Ravishankar, "A name-based mapping scheme for rendezvous",
// 1996). Empty: there is none. All versions that may be in one cluster must agree on
// it; a test holds it to recorded homes.
func (o Owners) Home(id [16]byte) string {
	key := mix(binary.LittleEndian.Uint64(id[:8]) ^ mix(binary.LittleEndian.Uint64(id[8:])))
	best, most := "", uint64(0)
	for i, seed := range o.seeds {
		if w := mix(seed ^ key); best == "" || w > most {
			best, most = o.ids[i], w
		}
	}
	return best
}

// Shares returns which part of all ids lives at each member, from a sample.
func (o Owners) Shares() map[string]float64 {
	const sample = 4096
	shares := make(map[string]float64, len(o.ids))
	for i := range uint64(sample) {
		var id [16]byte
		binary.LittleEndian.PutUint64(id[:], mix(i))
		if home := o.Home(id); home != "" {
			shares[home] += 1.0 / sample
		}
	}
	return shares
}

// mix spreads the bits of x evenly (the finalizer of SplitMix64: Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
