package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// findChromium looks for a browser under the names that distributions give it.
func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium on the PATH, and the tests of the page need one: " +
		"install it (Debian: sudo apt-get install chromium), or run scripts/ensure-test-tools.sh")
}

// chromium is a browser process with a profile of its own.
type chromium struct {
	t       *testing.T
	ctx     context.Context
	drop    context.CancelFunc // stops listening to it
	profile string
}

// openChromium starts a browser that is closed at the end of the test.
func openChromium(t *testing.T) *chromium {
	t.Helper()
	// Not t.TempDir: a browser that is closed still writes for a moment, and
	// that folder must be empty when the test ends.
	profile, err := os.MkdirTemp("", "dibs-chromium-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(profile) })
	return openProfile(t, profile)
}

// removeAll removes a folder that somebody may still be writing to.
func removeAll(dir string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		if os.RemoveAll(dir) == nil {
			return
		}
		<-tick.C
	}
}

// openProfile starts a browser on a profile that may have been used before.
func openProfile(t *testing.T, profile string) *chromium {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(tools.chromium),
		chromedp.UserDataDir(profile),
		chromedp.WindowSize(wide.width, wide.height),
		chromedp.NoSandbox, // the tests may run as root, and see no page but ours
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("lang", "en-US"),
		// Whatever the browser itself would like to fetch, it finds nobody.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Env("TZ=UTC", "LANGUAGE=en_US"),
	)
	ctx, free := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(free)
	ctx, drop := chromedp.NewContext(ctx)
	b := &chromium{t: t, ctx: ctx, drop: drop, profile: profile}
	t.Cleanup(b.close)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", tools.chromium, err)
	}
	return b
}

// close has the browser close itself, and drops it.
func (b *chromium) close() {
	defer b.drop()
	if b.ctx.Err() != nil {
		return // crash was here
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		b.t.Errorf("closing a browser: %v", err)
	}
}

// crash ends the browser as kill -9 does, with all its pages, and waits until
// its profile can be opened again.
func (b *chromium) crash() {
	b.t.Helper()
	process := chromedp.FromContext(b.ctx).Browser.Process()
	if err := process.Kill(); err != nil {
		b.t.Fatal(err)
	}
	b.drop()
	within(b.t, patience, "the end of a browser", func() bool { return process.Signal(syscall.Signal(0)) != nil })
	_ = os.Remove(filepath.Join(b.profile, "SingletonLock")) // it names a process that is no more
}
