// Command regex writes what Go and Prometheus make of regular expressions: the tables and the corpus of the Rust crate
// prometheus-re2.
package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("FAIL regex:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "tables":
		return create(args[1], writeTables)
	case len(args) == 2 && args[0] == "corpus":
		return errors.Join(
			createCompressed(filepath.Join(args[1], "corpus.jsonl.gz"), func(w io.Writer) error { return writeCorpus(w, 8000) }),
			createCompressed(filepath.Join(args[1], "classes.jsonl.gz"), writeClasses),
		)
	}
	return errors.New("usage: regex tables <file>, or regex corpus <directory>")
}

func create(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

func createCompressed(name string, write func(io.Writer) error) error {
	return create(name, func(w io.Writer) error {
		compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		return errors.Join(write(compressed), compressed.Close())
	})
}
