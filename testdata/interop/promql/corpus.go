package main

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"unicode/utf8"
)

// What is random in the committed corpus.
const (
	corpusSeed  = 20261121
	corpusCases = 20000
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// file is one file of the corpus, in the manifest.
type file struct {
	Name   string `json:"name"`
	Cases  int    `json:"cases"`
	Errors int    `json:"rejected"`
	SHA256 string `json:"sha256"`
}

func writeCorpus(out, scripts string) error {
	if out == "" {
		return fmt.Errorf("-out is missing")
	}
	if scripts == "" {
		scripts = filepath.Join("..", "..", "..", "..", "shared", "acceptance", "promqltest")
	}
	own, err := ownTests()
	if err != nil {
		return err
	}
	script, err := scriptInputs(scripts)
	if err != nil {
		return err
	}
	own, script = unique(own), unique(script)
	var manifest []file
	write := func(name string, cases []Case) error {
		f, err := writeFile(out, name, cases)
		manifest = append(manifest, f)
		return err
	}
	judgeAll := func(inputs []input, options ...int) []Case {
		var cases []Case
		for _, in := range inputs {
			for _, o := range options {
				cases = append(cases, judge(in.from, in.entry, o, in.text))
			}
		}
		return cases
	}
	if err := write("prometheus-tests.jsonl.gz", judgeAll(own, optAll, 0)); err != nil {
		return err
	}
	if err := write("promqltest-scripts.jsonl.gz", judgeAll(script, optAll)); err != nil {
		return err
	}
	if err := write("hard-cases.jsonl.gz", judgeAll(unique(hardCases()), optAll, 0)); err != nil {
		return err
	}
	r := newRandom(corpusSeed)
	var cases []Case
	seeds := slices.Concat(own, script)
	for len(cases) < corpusCases {
		in, options := r.next(seeds)
		if utf8.ValidString(in.text) && len(in.text) <= 400 && !isHuge(in) {
			cases = append(cases, judge(in.from, in.entry, options, in.text))
		}
	}
	if err := write("random.jsonl.gz", cases); err != nil {
		return err
	}
	text, err := json.MarshalIndent(map[string]any{
		"prometheus": "v0.315.0", "seed": corpusSeed, "files": manifest,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "manifest.json"), append(text, '\n'), 0o644)
}

func writeFile(dir, name string, cases []Case) (file, error) {
	f := file{Name: name, Cases: len(cases)}
	path := filepath.Join(dir, name)
	w, err := os.Create(path)
	if err != nil {
		return f, err
	}
	zipped, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return f, err
	}
	lines := bufio.NewWriter(zipped)
	for _, c := range cases {
		if c.Error != "" {
			f.Errors++
		}
		if err := writeCase(lines, c); err != nil {
			return f, err
		}
	}
	if err := lines.Flush(); err != nil {
		return f, err
	}
	if err := zipped.Close(); err != nil {
		return f, err
	}
	if err := w.Close(); err != nil {
		return f, err
	}
	bytes, err := os.ReadFile(path)
	f.SHA256 = fmt.Sprintf("%x", sha256.Sum256(bytes))
	return f, err
}

var manyTimes = regexp.MustCompile(`x[0-9]{5}`)

// isHuge says whether Prometheus would make so many values of a series that memory ends.
func isHuge(in input) bool { return in.entry == entrySeries && manyTimes.MatchString(in.text) }

// hunt writes random cases to standard output: many more than are committed.
func hunt(scripts string, seed uint64, count int) error {
	seeds, err := ownTests()
	if err != nil {
		return err
	}
	if scripts != "" {
		more, err := scriptInputs(scripts)
		if err != nil {
			return err
		}
		seeds = append(seeds, more...)
	}
	seeds = unique(seeds)
	r := newRandom(seed)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for range count {
		in, options := r.next(seeds)
		if utf8.ValidString(in.text) && !isHuge(in) {
			if err := writeCase(out, judge(in.from, in.entry, options, in.text)); err != nil {
				return err
			}
		}
	}
	return nil
}
