//go:build unix

package natsapi

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// sameOwner reports whether a link and the folder that it leads to belong to the
// same user. The folder is where everybody may make some: once the server is gone
// and its folder too, that can be somebody else's of the same name. No folder is
// nobody's.
func sameOwner(link, folder string) bool {
	l, err := os.Lstat(link)
	if err != nil {
		return false
	}
	f, err := os.Lstat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return false
	}
	ours, ok := l.Sys().(*syscall.Stat_t)
	theirs, also := f.Sys().(*syscall.Stat_t)
	return ok && also && ours.Uid == theirs.Uid
}
