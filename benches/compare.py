"""Runs both sides alternately and prints a table; see compare.sh."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TARGET = os.environ.get("CARGO_TARGET_DIR", "target")
BLOCKS = os.path.join(TARGET, "bench-blocks")
GATEWAY = os.path.join(TARGET, "release", "parquet-gateway")
BLOCKGEN = os.path.join(TARGET, "release", "blockgen")
FLOOR = os.path.join(TARGET, "release", "zstd_floor")
GO = os.path.join(TARGET, "interop", "bin", "format")


def run(command):
    """Runs a command; returns wall seconds, CPU seconds, peak RSS in MiB, and what it printed."""
    read, write = os.pipe()
    start = time.monotonic()
    child = os.posix_spawn(
        command[0], command, os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read), (os.POSIX_SPAWN_CLOSE, write)],
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        output = pipe.read()
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - start
    if status != 0:
        sys.exit(f"{' '.join(command)} failed with status {status}:\n{output}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "rss_mib": usage.ru_maxrss / 1024}, output


def size_of(directory, suffix):
    total = 0
    for root, _, files in os.walk(directory):
        total += sum(os.path.getsize(os.path.join(root, f)) for f in files if f.endswith(suffix))
    return total


def samples_of(block):
    with open(os.path.join(block, "meta.json")) as meta:
        return json.load(meta)["stats"]["numSamples"]


def preset(name):
    directory = os.path.join(BLOCKS, name)
    if not os.path.isdir(directory):
        print(f"making the block {name} ...", file=sys.stderr)
        subprocess.run([BLOCKGEN, "--preset", name, directory + ".tmp"], check=True, stdout=sys.stderr)
        os.rename(directory + ".tmp", directory)
    (block,) = [d for d in os.listdir(directory) if os.path.exists(os.path.join(directory, d, "meta.json"))]
    return os.path.join(directory, block)


def rust(block, out, threads):
    return [os.path.abspath(GATEWAY), "convert", "--tsdb.storage.prefix", os.path.abspath(os.path.dirname(block)),
            "--parquet.storage.prefix", out, "--convert.read-concurrency", str(threads)]


def go(block, out, threads):
    return [os.path.abspath(GO), "convert", "-block", os.path.abspath(block), "-bucket", out, "-cpus", str(threads)]


def compare_convert(args):
    results = []
    for block in args.block or [preset(name) for name in ("medium", "day", "large")]:
        for threads in sorted({1, os.cpu_count()}, reverse=True):
            sides = {"ours": rust, "go": go}
            runs = {side: [] for side in sides}
            sizes = {}
            for i in range(args.rounds + 1):
                for side, command in sides.items():
                    out = tempfile.mkdtemp(prefix="compare-")
                    measured, _ = run(command(block, out, threads))
                    if i > 0:  # the first round warms the page cache
                        runs[side].append(measured)
                    sizes[side] = size_of(out, ".parquet")
                    shutil.rmtree(out)
            floor = [json.loads(run([os.path.abspath(FLOOR), block, str(threads)])[1])["wall_s"]
                     for _ in range(args.rounds)]
            median = {side: {key: statistics.median(r[key] for r in runs[side]) for key in runs[side][0]}
                      for side in sides}
            results.append({
                "block": block, "samples": samples_of(block), "threads": threads, "rounds": args.rounds,
                "ours": {**median["ours"], "bytes_out": sizes["ours"]},
                "go": {**median["go"], "bytes_out": sizes["go"]},
                "zstd_floor_s": statistics.median(floor),
            })
    if args.json:
        print(json.dumps(results, indent=2))
        return
    print("| Block | Threads | Side | Wall s | CPU s | M samples/s | Peak RSS MiB | Bytes/sample |")
    print("|---|---|---|---|---|---|---|---|")
    for r in results:
        name = os.path.basename(os.path.dirname(r["block"])) or r["block"]
        for side in ("ours", "go"):
            s = r[side]
            print(f"| {name} | {r['threads']} | {side} | {s['wall_s']:.2f} | {s['cpu_s']:.2f} "
                  f"| {r['samples'] / s['wall_s'] / 1e6:.1f} | {s['rss_mib']:.0f} | {s['bytes_out'] / r['samples']:.2f} |")
        ours, theirs = r["ours"], r["go"]
        print(f"| {name} | {r['threads']} | **go / ours** | **{theirs['wall_s'] / ours['wall_s']:.1f}×** "
              f"| {theirs['cpu_s'] / ours['cpu_s']:.1f}× | | {theirs['rss_mib'] / ours['rss_mib']:.1f}× "
              f"| {theirs['bytes_out'] / ours['bytes_out']:.2f}× |")
        print(f"| {name} | {r['threads']} | zstd alone | {r['zstd_floor_s']:.2f} | | | | |")


def main():
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__)
    commands = parser.add_subparsers(required=True)
    convert = commands.add_parser("convert", help="blocks to Parquet")
    convert.add_argument("--block", action="append", help="a TSDB block; repeatable")
    convert.add_argument("--rounds", type=int, default=5)
    convert.add_argument("--json", action="store_true")
    convert.set_defaults(run=compare_convert)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
