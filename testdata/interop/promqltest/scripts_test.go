package promqltest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// TestScripts runs scripts with Prometheus' own engine and storage, set as for its own scripts: PROMQL_SCRIPTS lists files
// and directories, separated as in PATH.
func TestScripts(t *testing.T) {
	list := os.Getenv("PROMQL_SCRIPTS")
	if list == "" {
		t.Skip("PROMQL_SCRIPTS is not set")
	}
	var files []string
	for _, path := range strings.Split(list, string(os.PathListSeparator)) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		found, err := filepath.Glob(filepath.Join(path, "*.test"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no scripts in %s: %v", path, err)
		}
		files = append(files, found...)
	}
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	open := func(t testing.TB) storage.Storage { return openStorage(t) }
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			script, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			promqltest.RunTestWithStorage(t, string(script), engine, open)
		})
	}
}
