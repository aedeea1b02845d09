package auth

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// A token is a prefix, which tells people and secret scanners what they are
// looking at, and 256 random bits in lower-case base32.
const (
	sessionPrefix = "dibs_s_"
	keyPrefix     = "dibs_k_"
	alphabet      = "abcdefghijklmnopqrstuvwxyz234567"
	tokenBytes    = 32
	tokenLen      = len(sessionPrefix) + 52
)

// NewSession returns a token for somebody who signed in, and the digest that
// is stored in its place.
func NewSession() (token string, digest [32]byte) { return newToken(sessionPrefix) }

// NewAPIKey returns a key for a service, and the digest that is stored in its
// place.
func NewAPIKey() (key string, digest [32]byte) { return newToken(keyPrefix) }

func newToken(prefix string) (string, [32]byte) {
	encoding := base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)
	token := prefix + encoding.EncodeToString(randomBytes(tokenBytes))
	return token, sha256.Sum256([]byte(token))
}

// Digest returns the digest under which a token is stored; ok is false for
// what cannot be a token, which saves asking the store.
func Digest(token string) (digest [32]byte, ok bool) {
	if len(token) != tokenLen {
		return digest, false
	}
	if !strings.HasPrefix(token, sessionPrefix) && !strings.HasPrefix(token, keyPrefix) {
		return digest, false
	}
	for i := len(sessionPrefix); i < len(token); i++ {
		if c := token[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return digest, false
		}
	}
	var b [tokenLen]byte // on the stack: this runs on every request
	copy(b[:], token)
	return sha256.Sum256(b[:]), true
}
