// Command chunks writes the golden chunks in testdata/chunks and measures Prometheus' decoders.
//
//	go run . write <directory>
//	go run . bench [-seconds 1] [-segments dir] [name ...]
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chunks:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "write" {
		for _, write := range []func(dir string) error{writeFloats, writeHistograms} {
			if err := write(args[1]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(args) >= 1 && args[0] == "bench" {
		return bench(args[1:])
	}
	return fmt.Errorf("usage: chunks write <directory> | chunks bench [-seconds n] [-segments dir] [name ...]")
}
