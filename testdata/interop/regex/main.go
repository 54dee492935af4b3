// Command regex writes what Go knows of regular expressions, for the Rust crate prometheus-re2 to be tested against.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("FAIL regex:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 1 && args[0] == "tables" {
		return writeTables(os.Stdout)
	}
	return fmt.Errorf("usage: regex tables")
}
