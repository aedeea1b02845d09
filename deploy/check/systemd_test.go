package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// unit returns the settings of deploy/systemd/dibs.service; one that stands there
// several times is joined by blanks.
func unit(t *testing.T) (text string, settings map[string]string) {
	t.Helper()
	b, err := os.ReadFile("../systemd/dibs.service")
	if err != nil {
		t.Fatal(err)
	}
	settings = map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Za-z]+)=(.*)$`).FindAllStringSubmatch(string(b), -1) {
		settings[m[1]] = strings.TrimSpace(settings[m[1]] + " " + m[2])
	}
	return string(b), settings
}

// TestUnitStartsDibs: the unit's command line with the settings of dibs.env, the
// commented ones included, is one that dibs takes.
func TestUnitStartsDibs(t *testing.T) {
	_, settings := unit(t)
	b, err := os.ReadFile("../systemd/dibs.env")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^#?(DIBS_[A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(b), -1) {
		env[m[1]] = m[2]
	}
	if len(env) < 8 {
		t.Fatalf("only %d settings were found", len(env))
	}
	command := strings.Fields(settings["ExecStart"])
	for i, arg := range command {
		if arg == "/var/lib/dibs" {
			command[i] = t.TempDir()
		}
	}
	startWithoutDatabase(t, command[1:], env)
	if stop := duration(t, settings["TimeoutStopSec"]+"s"); stop <= 10*time.Second {
		t.Errorf("a stop takes up to 10 s and is killed after %s", stop)
	}
	if settings["StateDirectory"] != "dibs" || settings["User"] != "dibs" {
		t.Errorf("the folder of --data is not made: %v", settings)
	}
}

// TestUnitIsOneForSystemd asks systemd itself, where it is installed: whether it
// understands the unit, and how much it leaves open.
func TestUnitIsOneForSystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not installed: only the command line of the unit was looked at")
		return
	}
	text, _ := unit(t)
	file := filepath.Join(t.TempDir(), "dibs.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/usr/local/bin/dibs", dibsBinary(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 0 is safe, 100 is open (tenths of what it prints).
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20", file).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
