package natsapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"
)

// cleanStreams brings what a killed process left half done in the folders of
// streams into a state that the server can start from, and returns the folders
// that it must then be able to read. Whatever else is wrong with a folder is
// left as it is.
//
// The server writes a stream's description and then its checksum, each to a file
// that is renamed, and leaves streams out that lack either or whose two do not
// belong together:
//   - a folder that lacks one of them and holds no message is a stream whose
//     making was not acknowledged: it is removed;
//   - a description that is younger than its checksum is a change of the stream
//     that was not acknowledged: the checksum is made anew;
//   - a folder whose name begins with a dot is a stream that was removed: the
//     server goes on with that by itself.
func cleanStreams(dir string, log *slog.Logger) ([]string, error) {
	var expected []string
	for _, folder := range streamFolders(dir) {
		if strings.HasPrefix(filepath.Base(folder), ".") {
			continue
		}
		keep, err := cleanStream(folder, log)
		if err != nil {
			return nil, fmt.Errorf("a stream that the embedded NATS server did not finish cannot be put in order: %w", err)
		}
		if keep {
			expected = append(expected, folder)
		}
	}
	return expected, nil
}

func cleanStream(folder string, log *slog.Logger) (keep bool, err error) {
	metaFile, sumFile := filepath.Join(folder, server.JetStreamMetaFile), filepath.Join(folder, server.JetStreamMetaFileSum)
	meta, metaErr := os.Stat(metaFile)
	sum, sumErr := os.Stat(sumFile)
	switch {
	case errors.Is(metaErr, fs.ErrNotExist) || errors.Is(sumErr, fs.ErrNotExist):
		full, err := holdsMessages(folder)
		if full || err != nil {
			return true, err
		}
		log.Info("a stream that was not finished is removed", "folder", folder)
		return false, os.RemoveAll(folder)
	case metaErr != nil || sumErr != nil:
		return true, errors.Join(metaErr, sumErr)
	case meta.ModTime().After(sum.ModTime()):
		return true, sumAnew(metaFile, sumFile)
	}
	return true, nil
}

func holdsMessages(folder string) (bool, error) {
	blocks, err := filepath.Glob(filepath.Join(folder, "msgs", "*"))
	if err != nil {
		return true, err
	}
	for _, block := range blocks {
		info, err := os.Stat(block)
		if err != nil {
			return true, err
		}
		if info.Size() > 0 {
			return true, nil
		}
	}
	return false, nil
}

// sumAnew writes the checksum of a stream's description as the server does
// (filestore.go, writeStreamMeta), if it is one.
func sumAnew(metaFile, sumFile string) error {
	meta, err := os.ReadFile(metaFile)
	if err != nil {
		return err
	}
	name := filepath.Base(filepath.Dir(metaFile))
	var described server.FileStreamInfo
	if whole := json.Unmarshal(meta, &described) == nil; !whole || described.Name != name {
		return nil // the server will say so
	}
	key := sha256.Sum256([]byte(name))
	hash, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return err
	}
	if _, err := hash.Write(meta); err != nil {
		return err
	}
	next := sumFile + ".tmp"
	if err := os.WriteFile(next, []byte(hex.EncodeToString(hash.Sum(nil))), 0o600); err != nil {
		return err
	}
	return os.Rename(next, sumFile)
}
