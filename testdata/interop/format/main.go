// Command format judges Parquet shards with the format's reference implementation: parquet-common,
// parquet-go and Prometheus' own TSDB code. It knows nothing of the converter that wrote the shards.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

const usage = `usage: format <command> [flags]

commands:
  verify   read every shard through parquet-common and compare it with the TSDB block it was made from
  inspect  check the physical layout of every shard file, byte by byte where the format says so
  convert  run the reference converter on a block and print what it cost as one JSON line
  select   run queries through the reference reader, or on a TSDB block, and print what they cost as one JSON line
  promql   evaluate PromQL with Prometheus' engine or Thanos', and print what it cost as one JSON line

'format <command> -h' lists the flags of a command. Exit code: 0 all is well, 1 a mismatch, 2 wrong usage.
`

// errUsage marks a mistake in the command line; everything else that fails is a verdict.
var errUsage = errors.New("wrong usage")

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	command, args := os.Args[1], os.Args[2:]
	err := limitMemory()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	switch command {
	case "verify":
		err = verifyCommand(args)
	case "inspect":
		err = inspectCommand(args)
	case "convert":
		err = convertCommand(args)
	case "select":
		err = selectCommand(args)
	case "promql":
		err = promqlCommand(args)
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
		fmt.Printf("FAIL %s: %v\n", command, err)
		os.Exit(1)
	}
}

// shardFlags are the flags that name the files under judgement.
type shardFlags struct {
	bucket string
	name   string
	shards int
}

func (s *shardFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&s.bucket, "bucket", "", "directory that stands for the bucket (required)")
	fs.StringVar(&s.name, "name", "block", "name of the shards inside the bucket")
	fs.IntVar(&s.shards, "shards", 1, "how many shards there must be: 0..shards-1, no more and no fewer")
}

func (s *shardFlags) check() error {
	if s.bucket == "" {
		return fmt.Errorf("%w: -bucket is required", errUsage)
	}
	if s.shards < 1 {
		return fmt.Errorf("%w: -shards must be at least 1", errUsage)
	}
	return nil
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

func splitList(list string) []string {
	var out []string
	for _, item := range strings.Split(list, ",") {
		if item != "" {
			out = append(out, item)
		}
	}
	return out
}
