package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltBytes = 16
	hashBytes = 32

	// What a stored hash may ask for. A hash comes from our own store, but a
	// row that was tampered with must not be able to exhaust the machine.
	maxPasses  = 16
	maxThreads = 16
)

// Params are the costs of an argon2id hash.
type Params struct {
	MemoryKiB uint32 // KiB, at least 8 for each thread
	Passes    uint32 // over the memory
	Threads   uint8
}

// DefaultParams are those that the OWASP password storage cheat sheet
// recommends for argon2id: 19 MiB, two passes, one thread.
func DefaultParams() Params { return Params{MemoryKiB: 19 * 1024, Passes: 2, Threads: 1} }

func (p Params) check() error {
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("argon2id: %d threads, want 1 to %d", p.Threads, maxThreads)
	case p.Passes < 1 || p.Passes > maxPasses:
		return fmt.Errorf("argon2id: %d passes, want 1 to %d", p.Passes, maxPasses)
	case p.MemoryKiB < 8*uint32(p.Threads):
		return fmt.Errorf("argon2id: %d KiB of memory, want at least 8 for each thread", p.MemoryKiB)
	}
	return nil
}

// encoded is a hash as it is stored, in the PHC string format:
// $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>.
type encoded struct {
	Params
	salt, hash []byte
}

func (e encoded) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		e.MemoryKiB, e.Passes, e.Threads, b64.EncodeToString(e.salt), b64.EncodeToString(e.hash))
}

var errEncoding = errors.New("not an argon2id hash")

// parseEncoded reads a stored hash. What String writes is the only spelling it
// takes.
func parseEncoded(s string) (encoded, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || len(s) > 512 || parts[0] != "" || parts[1] != "argon2id" {
		return encoded{}, errEncoding
	}
	var e encoded
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &e.MemoryKiB, &e.Passes, &e.Threads); err != nil {
		return encoded{}, errEncoding
	}
	b64 := base64.RawStdEncoding.Strict()
	var err error
	if e.salt, err = b64.DecodeString(parts[4]); err != nil {
		return encoded{}, errEncoding
	}
	if e.hash, err = b64.DecodeString(parts[5]); err != nil {
		return encoded{}, errEncoding
	}
	if len(e.salt) < 8 || len(e.hash) < 16 || len(e.hash) > 64 || e.String() != s {
		return encoded{}, errEncoding
	}
	return e, e.check()
}

// matches computes the hash of password; it takes the memory and time that
// e's parameters say.
func (e encoded) matches(password string) bool {
	got := e.derive(password)
	return subtle.ConstantTimeCompare(got, e.hash) == 1
}

func (e encoded) derive(password string) []byte {
	return argon2.IDKey([]byte(password), e.salt, e.Passes, e.MemoryKiB, e.Threads, uint32(len(e.hash)))
}
