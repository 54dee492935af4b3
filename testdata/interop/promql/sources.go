package main

import (
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// input is something to parse and where it comes from.
type input struct{ from, entry, text string }

// ownTests gives the inputs of the tests of Prometheus' parser, from the module's source.
func ownTests() ([]input, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		return nil, err
	}
	var inputs []input
	for _, name := range []string{"parse_test.go", "printer_test.go", "prettier_test.go", "lex_test.go"} {
		path := filepath.Join(strings.TrimSpace(string(dir)), "promql", "parser", name)
		file, err := goparser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return nil, err
		}
		add := func(from string, e ast.Expr) {
			if text, ok := constant(e); ok && utf8.ValidString(text) {
				inputs = append(inputs, input{from, entryExpr, text})
				if name == "lex_test.go" || strings.Contains(from, "eries") {
					inputs = append(inputs, input{from, entrySeries, text})
				}
			}
		}
		var function string
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				function = n.Name.Name
			case *ast.ValueSpec:
				function = n.Names[0].Name
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "input" || key.Name == "in" || key.Name == "out") {
					add(name+" "+function, n.Value)
				}
			}
			return true
		})
	}
	return inputs, nil
}

// constant evaluates a string literal or a concatenation of such.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.BinaryExpr:
		a, okA := constant(e.X)
		b, okB := constant(e.Y)
		return a + b, okA && okB
	case *ast.ParenExpr:
		return constant(e.X)
	}
	return "", false
}

var (
	evalInstant = regexp.MustCompile(`^eval(?:_(?:fail|warn|ordered|info))?\s+instant\s+(?:at\s+(?:.+?))?\s+(.+)$`)
	evalRange   = regexp.MustCompile(`^eval(?:_(?:fail|warn|info))?\s+range\s+from\s+(?:.+)\s+to\s+(?:.+)\s+step\s+(?:.+?)\s+(.+)$`)
	seriesLine  = regexp.MustCompile(`^\s+(\S.*)$`)
)

// scriptInputs gives the expressions and series of promqltest scripts.
func scriptInputs(dir string) ([]input, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.test"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no scripts in %s: %v", dir, err)
	}
	sort.Strings(files)
	var inputs []input
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		from := filepath.Base(path)
		lines := strings.Split(string(text), "\n")
		for i := 0; i < len(lines); i++ {
			line := strings.TrimRight(lines[i], " \t\r")
			if m := evalInstant.FindStringSubmatch(line); m != nil {
				inputs = append(inputs, input{from, entryExpr, m[1]})
			} else if m := evalRange.FindStringSubmatch(line); m != nil {
				inputs = append(inputs, input{from, entryExpr, m[1]})
			} else if m := seriesLine.FindStringSubmatch(line); m != nil && !strings.HasPrefix(m[1], "#") && !strings.HasPrefix(m[1], "expect") {
				inputs = append(inputs, input{from, entrySeries, m[1]})
			}
		}
	}
	return inputs, nil
}

func unique(inputs []input) []input {
	seen := map[[2]string]bool{}
	var out []input
	for _, in := range inputs {
		key := [2]string{in.entry, in.text}
		if !seen[key] && len(in.text) < 20000 {
			seen[key] = true
			out = append(out, in)
		}
	}
	return out
}
