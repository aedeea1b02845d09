package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dibs-calls/dibs/internal/testcache"
)

// Build compiles a command of the module at root, such as ./cmd/dibs, into dir
// and returns the path of the binary. With DIBS_TEST_RACE_BINARY set it is
// built with the race detector, which makes it several times slower.
func Build(ctx context.Context, root, pkg, dir string) (string, error) {
	if err := testcache.DependOnModule(root); err != nil {
		return "", err
	}
	bin := filepath.Join(dir, filepath.Base(pkg))
	// Without its profile it is compiled in half the time, and does the same.
	args := []string{"build", "-buildvcs=false", "-pgo=off", "-o", bin}
	if os.Getenv("DIBS_TEST_RACE_BINARY") != "" {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}
