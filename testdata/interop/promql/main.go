// Command promql writes what Prometheus' own parser says of queries, for the Rust crate prometheus-promql to be tested
// against.
package main

import (
	"flag"
	"fmt"
	"os"
)

const usage = `usage: promql corpus -out <dir> [-scripts <dir>]    the corpus of testdata/promql-parser
       promql hunt -seed <n> -count <n>             random cases, one JSON object per line
       promql judge                                 answers cases that are read from standard input
       promql histograms -out <dir> [-seed <n>] [-count <n>]    the corpus of testdata/histograms
       promql evaluate -block <dir>                 answers queries that are read from standard input
       promql printable                             the characters that Go prints, as a Rust table`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL promql:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", "", "directory to write to")
	scripts := flags.String("scripts", "", "directory of promqltest scripts")
	block := flags.String("block", "", "directory of a block")
	seed := flags.Uint64("seed", 1, "seed of the random cases")
	count := flags.Int("count", 1000, "number of random cases")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "corpus":
		return writeCorpus(*out, *scripts)
	case "hunt":
		return hunt(*scripts, *seed, *count)
	case "judge":
		return judgeStdin()
	case "evaluate":
		if *block == "" {
			return fmt.Errorf("-block is required")
		}
		return evaluate(*block)
	case "histograms":
		set := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
		if !set["seed"] {
			*seed = histogramSeed
		}
		if !set["count"] {
			*count = histogramCases
		}
		return writeHistograms(*out, *seed, *count)
	case "printable":
		return writePrintable()
	}
	return fmt.Errorf("%s", usage)
}
