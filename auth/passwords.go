package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"
)

const (
	// MinPassword and MaxPassword bound a password that is set, in bytes.
	MinPassword = 8
	MaxPassword = 1024

	// DefaultMemoryBudget is what all hashing of a process may use at a time.
	DefaultMemoryBudget int64 = 128 << 20 // bytes
)

// Passwords hashes and checks passwords. It is safe for concurrent use.
type Passwords struct {
	params Params
	budget int64 // KiB
	memory *semaphore.Weighted
	dummy  encoded // what unknown people's passwords are checked against
}

// NewPasswords makes hashes with params and uses at most budget bytes of
// memory for it at a time.
func NewPasswords(params Params, budget int64) (*Passwords, error) {
	if err := params.check(); err != nil {
		return nil, err
	}
	kib := budget / 1024
	if int64(params.MemoryKiB) > kib {
		return nil, fmt.Errorf("argon2id: one hash takes %d KiB, the budget for all is %d", params.MemoryKiB, kib)
	}
	p := &Passwords{params: params, budget: kib, memory: semaphore.NewWeighted(kib)}
	p.dummy = encoded{Params: params, salt: randomBytes(saltBytes), hash: randomBytes(hashBytes)}
	return p, nil
}

// CheckPassword reports, with a sentence for a person, why password cannot be
// set: [messages.CodeBadRequest].
func CheckPassword(password string) error {
	var sentence string
	switch {
	case len(password) < MinPassword:
		sentence = fmt.Sprintf("A password has at least %d characters.", MinPassword)
	case len(password) > MaxPassword:
		sentence = fmt.Sprintf("A password has at most %d bytes.", MaxPassword)
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		sentence = "A password is valid UTF-8 text without NUL characters."
	default:
		return nil
	}
	return &messages.Error{Code: messages.CodeBadRequest, Sentence: sentence}
}

// Hash returns what is to be stored for password. Errors: those of
// [CheckPassword], and CodeOverloaded when ctx ended before there was memory
// for it.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	e := encoded{Params: p.params, salt: randomBytes(saltBytes), hash: make([]byte, hashBytes)}
	err := p.within(ctx, e.Params, func() { e.hash = e.derive(normalised(password)) })
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

// Verify reports whether hash is the hash of password. An empty hash, and one
// that cannot be read, matches nothing, after as long a time as a true one:
// pass "" for somebody who does not exist. (A hash made with other parameters
// takes their time; so long as old ones are in the store, the difference
// tells that an account is old.)
//
// The only error is CodeOverloaded: ctx ended before there was memory for it.
func (p *Passwords) Verify(ctx context.Context, hash, password string) (bool, error) {
	e, err := parseEncoded(hash)
	known := err == nil && int64(e.MemoryKiB) <= p.budget && len(password) <= MaxPassword
	if !known {
		e = p.dummy
	}
	if len(password) > MaxPassword {
		password = password[:MaxPassword]
	}
	var matches bool
	if err := p.within(ctx, e.Params, func() { matches = e.matches(normalised(password)) }); err != nil {
		return false, err
	}
	return matches && known, nil
}

// within runs f when the budget has room for a hash with params.
func (p *Passwords) within(ctx context.Context, params Params, f func()) error {
	weight := int64(params.MemoryKiB)
	if err := p.memory.Acquire(ctx, weight); err != nil {
		return &messages.Error{Code: messages.CodeOverloaded, Cause: errors.Join(errBudget, err)}
	}
	defer p.memory.Release(weight)
	f()
	return nil
}

var errBudget = errors.New("no memory left for another password hash")

// normalised makes the password of somebody who types é on a Mac equal to the
// one they typed on a telephone (RFC 8265, section 4.2: NFC).
func normalised(password string) string { return norm.NFC.String(password) }

// NewPassword returns a password to be told to somebody once: four groups of
// five letters and digits, 100 bits, without those that are mistaken for others.
func NewPassword() string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32: no l, o, 0, 1
	raw := randomBytes(20)
	var b strings.Builder
	for i, r := range raw {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[r%32])
	}
	return b.String()
}

// randomBytes cannot fail: crypto/rand ends the process rather than return
// bytes that can be guessed.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
