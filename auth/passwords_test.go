package auth

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// cheap makes hashing fast; what is tested does not depend on the cost.
var cheap = Params{MemoryKiB: 64, Passes: 1, Threads: 1}

func passwords(t testing.TB) *Passwords {
	t.Helper()
	p, err := NewPasswords(cheap, 256<<10)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHashAndVerify(t *testing.T) {
	p := passwords(t)
	hash, err := p.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := p.Hash(t.Context(), "correct horse")
	if hash == again {
		t.Error("two hashes of one password are equal: no salt")
	}
	decomposed, _ := p.Hash(t.Context(), "cafe\u0301 noir")
	default_, err := NewPasswords(DefaultParams(), DefaultMemoryBudget)
	if err != nil {
		t.Fatal(err)
	}
	dear, err := default_.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, hash, password string
		want                 bool
	}{
		{"right", hash, "correct horse", true},
		{"wrong", hash, "correct horsf", false},
		{"empty password", hash, "", false},
		{"unknown person", "", "correct horse", false},
		{"unreadable hash", "$argon2id$nonsense", "correct horse", false},
		{"another normal form", decomposed, "caf\u00e9 noir", true},
		{"endless password", hash, strings.Repeat("x", 1<<20), false},
		{"hash dearer than the budget", dear, "correct horse", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.Verify(t.Context(), tt.hash, tt.password)
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if ok, err := default_.Verify(t.Context(), dear, "correct horse"); !ok || err != nil {
		t.Errorf("default parameters: %v, %v", ok, err)
	}
}

func TestTruncatedPasswordDoesNotMatch(t *testing.T) {
	p := passwords(t)
	longest := strings.Repeat("x", MaxPassword)
	hash, err := p.Hash(t.Context(), longest)
	if err != nil {
		t.Fatal(err)
	}
	if ok, _ := p.Verify(t.Context(), hash, longest); !ok {
		t.Error("the longest password does not match itself")
	}
	if ok, _ := p.Verify(t.Context(), hash, longest+"y"); ok {
		t.Error("a longer password matched by its first part")
	}
}

func TestCheckPassword(t *testing.T) {
	bad := []string{"", "1234567", strings.Repeat("x", MaxPassword+1), "nul\x00inside", "\xff\xff\xff\xff\xff\xff\xff\xff"}
	for _, password := range bad {
		if code := messages.CodeOf(CheckPassword(password)); code != messages.CodeBadRequest {
			t.Errorf("%.20q: code %q", password, code)
		}
		if _, err := passwords(t).Hash(t.Context(), password); err == nil {
			t.Errorf("%.20q was hashed", password)
		}
	}
	if err := CheckPassword("12345678"); err != nil {
		t.Error(err)
	}
}

// The dummy must be as dear as a real hash, or time tells who has an account.
func TestDummyCostsTheSame(t *testing.T) {
	p := passwords(t)
	hash, _ := p.Hash(t.Context(), "correct horse")
	e, err := parseEncoded(hash)
	if err != nil {
		t.Fatal(err)
	}
	if p.dummy.Params != e.Params || len(p.dummy.salt) != len(e.salt) || len(p.dummy.hash) != len(e.hash) {
		t.Errorf("dummy %+v, real %+v", p.dummy, e)
	}
}

func TestBudgetBoundsConcurrency(t *testing.T) {
	p := passwords(t) // room for four
	var now, most atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			_ = p.within(context.Background(), cheap, func() {
				n := now.Add(1)
				for {
					old := most.Load()
					if n <= old || most.CompareAndSwap(old, n) {
						break
					}
				}
				p.dummy.matches("x")
				now.Add(-1)
			})
		})
	}
	all.Wait()
	if most.Load() > 4 {
		t.Errorf("%d hashes at once, the budget is for 4", most.Load())
	}
}

func TestNoRoomWithinTime(t *testing.T) {
	p := passwords(t)
	if err := p.memory.Acquire(t.Context(), p.budget); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Verify(ctx, "", "x"); messages.CodeOf(err) != messages.CodeOverloaded {
		t.Errorf("got %v", err)
	}
	if _, err := p.Hash(ctx, "12345678"); messages.CodeOf(err) != messages.CodeOverloaded {
		t.Errorf("got %v", err)
	}
}

func TestNewPasswordsRefuses(t *testing.T) {
	for _, tt := range []struct {
		params Params
		budget int64
	}{
		{Params{MemoryKiB: 64, Passes: 0, Threads: 1}, 1 << 20},
		{Params{MemoryKiB: 64, Passes: 1, Threads: 0}, 1 << 20},
		{Params{MemoryKiB: 4, Passes: 1, Threads: 1}, 1 << 20},
		{Params{MemoryKiB: 2048, Passes: 1, Threads: 1}, 1 << 20},
	} {
		if _, err := NewPasswords(tt.params, tt.budget); err == nil {
			t.Errorf("%+v was accepted", tt)
		}
	}
}

func TestNewPassword(t *testing.T) {
	a, b := NewPassword(), NewPassword()
	if a == b || len(a) != 23 || CheckPassword(a) != nil {
		t.Errorf("%q, %q", a, b)
	}
}

func FuzzParseEncoded(f *testing.F) {
	f.Add("")
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
	f.Add("$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseEncoded(s)
		if err == nil && (e.String() != s || e.check() != nil) {
			t.Errorf("%q was read as %+v", s, e)
		}
	})
}
