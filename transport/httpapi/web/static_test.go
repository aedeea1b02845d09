package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"regexp"
	"strings"
	"testing"
)

func contentsOf(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	every(t, func(name string, content []byte) { all[name] = string(content) })
	return all
}

var (
	staticImport  = regexp.MustCompile(`(?m)\b(?:from|import)\s*["']([^"']+)["']`)
	dynamicImport = regexp.MustCompile(`\bimport\s*\(`)
	exported      = regexp.MustCompile(`(?m)^export (?:async )?(?:const|let|function|class) (\w+)`)
	reexported    = regexp.MustCompile(`export\s*\{([^}]*)\}`)
	named         = regexp.MustCompile(`import\s*\{([^}]*)\}\s*from\s*["']([^"']+)["']`)
)

// TestImports: every import names a file that there is, and of our own modules
// something that it exports. A browser would find out when it is too late.
func TestImports(t *testing.T) {
	all := contentsOf(t)
	reached := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		for _, m := range staticImport.FindAllStringSubmatch(all[name], -1) {
			if !strings.HasPrefix(m[1], "./") && !strings.HasPrefix(m[1], "../") {
				t.Errorf("%s imports %q, a name that no browser resolves", name, m[1])
				continue
			}
			target := path.Join(path.Dir(name), m[1])
			if _, ok := all[target]; !ok {
				t.Errorf("%s imports %s, which there is not", name, target)
				continue
			}
			visit(target)
		}
		if dynamicImport.MatchString(all[name]) {
			t.Errorf("%s imports at run time, which this test cannot follow", name)
		}
	}
	visit("js/main.js")
	for name := range all {
		if strings.HasSuffix(name, ".js") && !reached[name] {
			t.Errorf("%s is imported by nothing", name)
		}
	}
}

func TestImportedNames(t *testing.T) {
	all := contentsOf(t)
	for name, content := range all {
		if !strings.HasPrefix(name, "js/") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(content, -1) {
			target := path.Join(path.Dir(name), m[2])
			offers := exportsOf(all[target])
			for entry := range strings.SplitSeq(m[1], ",") {
				wanted, _, _ := strings.Cut(strings.TrimSpace(entry), " as ")
				if wanted != "" && !offers[wanted] {
					t.Errorf("%s imports %s from %s, which does not export it", name, wanted, target)
				}
			}
		}
	}
}

func exportsOf(content string) map[string]bool {
	names := map[string]bool{}
	for _, m := range exported.FindAllStringSubmatch(content, -1) {
		names[m[1]] = true
	}
	for _, m := range reexported.FindAllStringSubmatch(content, -1) {
		for entry := range strings.SplitSeq(m[1], ",") {
			local, as, renamed := strings.Cut(strings.TrimSpace(entry), " as ")
			if renamed {
				local = as
			}
			names[strings.TrimSpace(local)] = true
		}
	}
	return names
}

// TestReferences: everything that the page and the styles name is there, and
// every style is named.
func TestReferences(t *testing.T) {
	all := contentsOf(t)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(all[indexName], -1) {
		name, ours := strings.CutPrefix(m[1], placeholder+"/")
		if !ours {
			if m[1] != "/openapi.json" {
				t.Errorf("the page refers to %s", m[1])
			}
			continue
		}
		named[name] = true
		if _, ok := all[name]; !ok {
			t.Errorf("the page refers to %s, which there is not", name)
		}
	}
	for name, content := range all {
		if path.Ext(name) != ".css" {
			continue
		}
		if !named[name] {
			t.Errorf("%s is not used by the page", name)
		}
		if strings.Contains(content, "url(") || strings.Contains(content, "@import") {
			t.Errorf("%s loads something", name)
		}
	}
}

// TestNothingFromElsewhere: no file names another server, and nothing is
// written into documents that the Content-Security-Policy would refuse.
func TestNothingFromElsewhere(t *testing.T) {
	// Names that look like addresses and are never asked for.
	namespaces := strings.NewReplacer(`http://www.w3.org/2000/svg`, "", `http://www.w3.org/1998/Math/MathML`, "",
		`http://www.w3.org/1999/xhtml`, "")
	elsewhere := regexp.MustCompile(`(?i)(?:https?:|wss?:|["'(=]\s*)//[a-z0-9]`)
	forbidden := regexp.MustCompile(`innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|WebSocket|sendBeacon|XMLHttpRequest`)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+="|javascript:|<script(?:>| [^>]*>[^<])`)
	for name, content := range contentsOf(t) {
		if path.Ext(name) == ".txt" { // licences
			continue
		}
		if found := elsewhere.FindString(namespaces.Replace(content)); found != "" {
			t.Errorf("%s names another server: %q", name, found)
		}
		if strings.HasPrefix(name, "js/") {
			if found := forbidden.FindString(content); found != "" {
				t.Errorf("%s uses %s", name, found)
			}
		}
		if name == indexName || strings.HasPrefix(name, "js/") {
			if found := inline.FindString(content); found != "" {
				t.Errorf("%s has inline style or script: %q", name, found)
			}
		}
	}
}

type library struct {
	File, SHA256, Package, Version, Licence string
	LicenceFile                             string `json:"licence_file"`
}

// TestLibraries: what the manifest says of the copies is so, each has its
// licence, and there is no copy that the manifest does not know.
func TestLibraries(t *testing.T) {
	const folder = "third_party/"
	all := contentsOf(t)
	var libraries []library
	if err := json.Unmarshal([]byte(all[folder+"manifest.json"]), &libraries); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{folder + "manifest.json": true}
	for _, l := range libraries {
		known[folder+l.File], known[folder+l.LicenceFile] = true, true
		sum := sha256.Sum256([]byte(all[folder+l.File]))
		if got := hex.EncodeToString(sum[:]); got != l.SHA256 {
			t.Errorf("%s was changed: %s, the manifest says %s (scripts/vendor-web.sh)", l.File, got, l.SHA256)
		}
		if l.Package == "" || l.Version == "" || l.Licence == "" {
			t.Errorf("%s: package, version or licence is missing", l.File)
		}
		if text := all[folder+l.LicenceFile]; !strings.Contains(text, strings.SplitN(l.Licence, "-", 2)[0]) {
			t.Errorf("%s: %s is not the text of %s", l.File, l.LicenceFile, l.Licence)
		}
	}
	for name := range all {
		if strings.HasPrefix(name, folder) && !known[name] {
			t.Errorf("%s is not in the manifest", name)
		}
	}
	if len(libraries) == 0 {
		t.Error("the manifest is empty")
	}
}

// TestPollInterval: the half minute is the specification's, and the page's own
// words for it. The browser tests go by shorter times.
func TestPollInterval(t *testing.T) {
	if !strings.Contains(contentsOf(t)["js/config.js"], "export const pollEvery = 30_000;") {
		t.Error("the page does not ask every 30 seconds where it has no live events")
	}
}
