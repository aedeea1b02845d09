package auth

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	session, sd := NewSession()
	key, kd := NewAPIKey()
	if !strings.HasPrefix(session, "dibs_s_") || !strings.HasPrefix(key, "dibs_k_") {
		t.Errorf("%q, %q", session, key)
	}
	for token, want := range map[string][32]byte{session: sd, key: kd} {
		got, ok := Digest(token)
		if !ok || got != want || got != sha256.Sum256([]byte(token)) {
			t.Errorf("%q: %x, %v, want %x", token, got, ok, want)
		}
	}
	if other, _ := NewSession(); other == session {
		t.Error("two tokens are equal")
	}
}

func TestDigestRefuses(t *testing.T) {
	good, _ := NewSession()
	for _, s := range []string{
		"", "dibs_s_", good[1:], good + "a", "dibs_x_" + good[7:], strings.ToUpper(good),
		good[:20] + "1" + good[21:], good[:20] + "\x00" + good[21:], strings.Repeat("a", len(good)),
	} {
		if _, ok := Digest(s); ok {
			t.Errorf("%q was taken for a token", s)
		}
	}
}

func TestDigestAllocatesNothing(t *testing.T) {
	token, _ := NewSession()
	if n := testing.AllocsPerRun(100, func() { Digest(token) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDigest(f *testing.F) {
	good, _ := NewAPIKey()
	f.Add(good)
	f.Add("dibs_s_")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if digest, ok := Digest(s); ok && digest != sha256.Sum256([]byte(s)) {
			t.Errorf("%q: %x", s, digest)
		}
	})
}
