package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// A cluster is updated node by node: for a while one node speaks an earlier version of
// what nodes say to each other. Nobody notices, when it leaves and when its successor
// joins, and while both are there each answers the other.
func TestTwoVersionsInOneCluster(t *testing.T) {
	n := &clusterNodes{t: t, d: onPostgres(t), roles: []string{"all", "all", "all"}, other: map[int]string{0: buildEarlier(t)}}
	n.open()
	speak := func(first int) {
		t.Helper()
		s := n.status()
		for i, want := range []int{first, 2, 2} {
			if len(s.Nodes) != 3 || s.Nodes[i].Speaks != want {
				t.Fatalf("the nodes speak %+v, want %d first", s.Nodes, want)
			}
		}
	}
	speak(1)
	f := &failures{load: newClusterLoad(t, n), byCaller: make([][]sample, clusterUsers)}
	f.run()
	f.load.after(1000)
	for i := range n.all {
		if answered := n.metric(i, `dibs_cluster_remote_requests_total{result="answered"}`); answered < 10 {
			t.Errorf("node %d got %v answers of others", i, answered)
		}
	}
	delete(n.other, 0)
	r := f.lose(t, "leave", 0)
	speak(2)
	f.load.after(f.load.count() + 1000)
	if _, failed := f.load.stop(); failed > 0 {
		t.Errorf("%d requests failed", failed)
	}
	t.Logf("slowest request %v while the earlier version left", max(r.its, r.others))
	f.load.check()
}

// buildEarlier builds this program as if what the newest version of nodes says to each
// other did not exist.
func buildEarlier(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "actors", "internal", "wire", "wire.go"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^const Version = 2$`)
	newest := regexp.MustCompile(`(?m)^\s*\d+: \{2, .*$`)
	if !version.Match(source) || !newest.Match(source) {
		t.Fatal("this test knows versions 1 and 2: have it build the version before the newest")
	}
	earlier := newest.ReplaceAll(version.ReplaceAll(source, []byte("const Version = 1")), nil)
	dir := t.TempDir()
	replacement, overlay, binary := filepath.Join(dir, "wire.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "dibs")
	plan, err := json.Marshal(map[string]map[string]string{"Replace": {path: replacement}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{replacement: earlier, overlay: plan} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", binary, "./cmd/dibs")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("building the earlier version: %w\n%s", err, out))
	}
	return binary
}
