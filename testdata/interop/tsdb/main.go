// Command tsdb makes TSDB blocks that current Prometheus servers can write but rarely do, and compares blocks, all with
// Prometheus 3.15's own code.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

const usage = `usage: tsdb <command> [flags]

commands:
  dump     print all series and samples of a block, one line each
  compare  compare two blocks, series by series and sample by sample
  make     write blocks of a kind
  plain    write blocks again as one, without XOR2 chunks and start timestamps

'tsdb <command> -h' lists the flags of a command. Exit code: 0 all is well, 1 a mismatch, 2 wrong usage.
`

var errUsage = errors.New("wrong usage")

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	var err error
	switch command, args := os.Args[1], os.Args[2:]; command {
	case "dump":
		err = dumpCommand(args)
	case "compare":
		err = compareCommand(args)
	case "plain":
		err = plainCommand(args)
	case "make":
		err = makeCommand(args)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return
	default:
		fmt.Fprintf(os.Stderr, "unknown command %q\n\n%s", command, usage)
		os.Exit(2)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Printf("FAIL %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%w: unexpected argument %q", errUsage, fs.Arg(0))
	}
	return nil
}
