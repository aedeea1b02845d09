package natstest

import (
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"
)

// NewNKey makes the key of a NATS user: a file in dir with its seed, and the public half.
func NewNKey(dir string) (file, public string, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", "", err
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", "", err
	}
	if public, err = pair.PublicKey(); err != nil {
		return "", "", err
	}
	file = filepath.Join(dir, "user.nk")
	return file, public, os.WriteFile(file, seed, 0o600)
}
