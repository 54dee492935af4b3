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
SELECT = os.path.join(TARGET, "release", "select")
QUERIES = os.path.join("benches", "select.json")
PROMQL = os.path.join(TARGET, "release", "promql")
PROMQL_QUERIES = os.path.join("benches", "promql.json")
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


def select_sides(shards, block, queries, extra):
    """The command of each side; both take the same arguments. Where shards lie is ours to say: one converter's files for all."""
    with open(os.path.join(block, "meta.json")) as text:
        meta = json.load(text)
    name = os.path.basename(os.path.dirname(block))
    common = ["--queries", os.path.abspath(QUERIES), "--block", name, "--mint", str(meta["minTime"]),
              "--maxt", str(meta["maxTime"])] + extra
    count = len([f for f in os.listdir(os.path.join(shards, meta["ulid"])) if f.endswith(".labels.parquet")])
    parquet = ["--dir", shards, "--name", meta["ulid"], "--shards", str(count)] + common
    return {
        "ours": [os.path.abspath(SELECT)] + parquet,
        "go": [os.path.abspath(GO), "select"] + parquet,
        "tsdb": [os.path.abspath(GO), "select", "--tsdb", os.path.abspath(block)] + common,
    }


def middle(values):
    """The median of numbers, or of objects of numbers by key; None where a side has none."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    if isinstance(values[0], dict):
        return {key: (min if key == "least_ms" else middle)([v[key] for v in values]) for key in values[0]}
    return statistics.median(values) if isinstance(values[0], (int, float)) else values[0]


def compare_select(args):
    with open(QUERIES) as text:
        file = json.load(text)
    extra = ["--decoders", str(args.decoders)] if args.decoders else []
    if args.only:
        extra += ["--only", args.only]
    results = []
    for block in args.block or [preset(name) for name in ("large", "medium")]:
        shards = tempfile.mkdtemp(prefix="compare-")
        try:
            run(rust(block, shards, os.cpu_count()) + args.convert)
            far = extra + ["--latency", args.latency]
            runs = {side: [] for side in ("ours", "go", "tsdb")}
            for _ in range(args.rounds):
                for side, command in select_sides(shards, block, QUERIES, far).items():
                    used, output = run(command)
                    runs[side].append({**json.loads(output), "rss_mib": used["rss_mib"]})
            rows = [[r["queries"] for r in runs[side]] for side in runs]
            queries = []
            for of_sides in zip(*(zip(*row) for row in rows)):
                answers = {tuple(a[key] for key in ("name", "series", "samples", "checksum")) for a in sum(of_sides, ())}
                if len(answers) != 1:
                    sys.exit(f"the sides answer differently: {sorted(answers)}")
                name, series, samples, checksum = answers.pop()
                costs = {side: middle([{k: a[k] for k in ("cold", "warm", "far")} for a in of])
                         for side, of in zip(runs, of_sides)}
                queries.append({"name": name, "series": series, "samples": samples, "checksum": checksum, **costs})
            if not queries:
                continue
            # Memory: one process for the query with the most samples, and nothing else.
            most = max(queries, key=lambda q: q["samples"])
            memory = select_sides(shards, block, QUERIES, ["--only", most["name"], "--budget", "0ms"])
            results.append({
                "block": block, "rounds": args.rounds, "latency": args.latency, "queries": queries,
                "open": {side: middle([{k: r["open"][k] for k in ("warm", "far")} for r in of]) for side, of in runs.items()},
                "rss_mib": {"name": most["name"], **{side: run(command)[0]["rss_mib"] for side, command in memory.items()}},
            })
        finally:
            shutil.rmtree(shards)
    if args.json:
        print(json.dumps(results, indent=2))
    else:
        print_select(results, {q["name"]: q for q in file["queries"]}, file["open"])


def print_select(results, aims, open_aim):
    print("Local ms: median, shortest, processor time, and the median with the opening of the shards. Far: what the store sees "
          f"of a query on open shards, and ms with {results[0]['latency']} for each request.\n")
    print("| Query | Series | Samples | Side | Local ms | shortest | CPU | with opening | Requests | in rounds | kB | Far ms |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    memory = []
    for r in results:
        rows = [{"name": "open the shards", "series": "", "samples": "", **r["open"], **open_aim}]
        rows += [{**aims[q["name"]], **q} for q in r["queries"]]
        for row in rows:
            head = f"{row['name']} | {row['series']} | {row['samples']}"
            for side in ("ours", "go", "tsdb"):
                warm, cold, far = (row[side].get(k) for k in ("warm", "cold", "far"))
                local = f"{warm['ms']:.2f} | {warm['least_ms']:.2f} | {warm['cpu_ms']:.2f} | {cold['ms'] if cold else warm['ms']:.2f}"
                remote = f"{far['requests']:.0f} | {far['rounds']:.0f} | {far['bytes'] / 1e3:.0f} | {far['ms']:.0f}" if far else " | | | "
                print(f"| {head} | {side} | {local} | {remote} |")
                head = " | | "
            ours, aim = row["ours"], row.get("target", {})
            for side in ("go", "tsdb"):
                ratio = lambda a, b: f"{a / b:.1f}×" if b else ""
                warm = " | ".join(ratio(row[side]["warm"][k], ours["warm"][k]) for k in ("ms", "least_ms", "cpu_ms"))
                cold = ratio(row[side]["cold"]["ms"], ours["cold"]["ms"]) if "cold" in ours else ""
                far = row[side]["far"] and ours["far"]
                remote = " | ".join(ratio(row[side]["far"][k], ours["far"][k]) for k in ("requests", "rounds", "bytes", "ms")) if far else " | | | "
                print(f"| | | | {side} / ours | {warm} | {cold} | {remote} |")
            print(f"| | | | target | {aim.get('ms', '')} | | | | {aim.get('requests', '')} | | | {aim.get('far_ms', '')} |")
        m = r["rss_mib"]
        memory.append(f"Peak RSS of “{m['name']}”: ours {m['ours']:.0f} MiB, go {m['go']:.0f}, tsdb {m['tsdb']:.0f}.")
    print("\n" + "\n".join(memory))


# The Parquet files are ours on all sides.
PROMQL_SIDES = {
    "ours": None, "prometheus": ("prometheus", True), "thanos": ("thanos", True),
    "prometheus/tsdb": ("prometheus", False), "thanos/tsdb": ("thanos", False),
}


def promql_command(side, shards, block, extra):
    with open(os.path.join(block, "meta.json")) as text:
        meta = json.load(text)
    common = ["--queries", os.path.abspath(PROMQL_QUERIES), "--mint", str(meta["minTime"]), "--maxt", str(meta["maxTime"]),
              "--step", "60s"] + extra
    count = len([f for f in os.listdir(os.path.join(shards, meta["ulid"])) if f.endswith(".labels.parquet")])
    parquet = ["--dir", shards, "--name", meta["ulid"], "--shards", str(count)]
    if side == "ours":
        return [os.path.abspath(PROMQL)] + parquet + common
    engine, of_parquet = PROMQL_SIDES[side]
    store = parquet if of_parquet else ["--tsdb", os.path.abspath(block)]
    return [os.path.abspath(GO), "promql", "--engine", engine] + store + common


def check_promql(answers):
    """Exits unless all sides answer the same: exactly but for the finite values."""
    first = answers[0][1]
    for side, answer in answers[1:]:
        same = all(answer[key] == first[key] for key in ("series", "samples", "checksum"))
        if not same or abs(answer["sum"] - first["sum"]) > 1e-9 * first["scale"]:
            sys.exit(f"{answer['name']}: {answers[0][0]} and {side} answer differently:\n{first}\n{answer}")


def compare_promql(args):
    with open(PROMQL_QUERIES) as text:
        targets = json.load(text)["targets_ms"]
    extra = ["--budget", args.budget] + (["--only", args.only] if args.only else [])
    results = []
    for block in args.block or [preset(name) for name in ("medium", "day")]:
        shards = tempfile.mkdtemp(prefix="compare-")
        try:
            run(rust(block, shards, os.cpu_count()))
            runs = {side: [] for side in PROMQL_SIDES}
            for _ in range(args.rounds):
                for side in PROMQL_SIDES:
                    _, output = run(promql_command(side, shards, block, extra))
                    runs[side].append(json.loads(output)["queries"])
        finally:
            shutil.rmtree(shards)
        queries = []
        for i, first in enumerate(runs["ours"][0]):
            check_promql([(side, of[i]) for side, rounds in runs.items() for of in rounds])
            costs = {side: middle([{k: of[i][k] for k in ("ms", "least_ms", "cpu_ms", "rss_mib")} for of in rounds])
                     for side, rounds in runs.items()}
            queries.append({k: first[k] for k in ("name", "series", "samples")} | costs)
        name = os.path.basename(os.path.dirname(os.path.abspath(block)))
        results.append({"block": block, "rounds": args.rounds, "queries": queries, "target_ms": targets.get(name)})
    if args.json:
        print(json.dumps(results, indent=2))
        return
    for r in results:
        print_promql(r)


def print_promql(r):
    others = [side for side in PROMQL_SIDES if side != "ours"]
    print(f"\nBlock {os.path.basename(os.path.dirname(os.path.abspath(r['block'])))}, {r['rounds']} rounds. Ours: median ms, shortest, "
          "processor time, peak RSS in MiB. Others: median ms, processor time, MiB; and how many times ours (median, processor time).\n")
    print("| Query | Series | Samples | Ours | " + " | ".join(f"{side} | / ours" for side in others) + " |")
    print("|---|---|---|---|" + "---|---|" * len(others))
    sums = {side: {k: sum(q[side][k] for q in r["queries"]) for k in ("ms", "least_ms", "cpu_ms")} for side in PROMQL_SIDES}
    sums = {side: {**of, "rss_mib": max(q[side]["rss_mib"] for q in r["queries"])} for side, of in sums.items()}
    for row in r["queries"] + [{"name": "**all** (MiB: the most)", "series": "", "samples": "", **sums}]:
        ours = row["ours"]
        cells = [row["name"], row["series"], row["samples"],
                 f"{ours['ms']:.1f}, {ours['least_ms']:.1f}, {ours['cpu_ms']:.1f}, {ours['rss_mib']:.0f}"]
        for side in others:
            of = row[side]
            cells += [f"{of['ms']:.1f}, {of['cpu_ms']:.1f}, {of['rss_mib']:.0f}",
                      f"{of['ms'] / ours['ms']:.1f}×, {of['cpu_ms'] / ours['cpu_ms']:.1f}×"]
        print("| " + " | ".join(map(str, cells)) + " |")
    slower = {store: [q["name"] for q in r["queries"] if any(q[s]["cpu_ms"] < q["ours"]["cpu_ms"] for s in others if s.endswith("/tsdb") == mapped)]
              for store, mapped in (("Parquet", False), ("the mapped block", True))}
    by_cpu, by_ms = (min(sums[side][key] / sums["ours"][key] for side in ("prometheus", "thanos")) for key in ("cpu_ms", "ms"))
    print(f"\nIn sum on Parquet at least {by_ms:.1f}× faster by the clock, {by_cpu:.1f}× by processor time (target: 5×). "
          + "".join(f"Slower than an engine on {store} by processor time: {', '.join(names) or 'none'}. " for store, names in slower.items()) +
          f"Sum {sums['ours']['ms']:.0f} ms, of the shortest {sums['ours']['least_ms']:.0f} ms (target: {r['target_ms'] or 'none'}).")


def main():
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__)
    commands = parser.add_subparsers(required=True)
    convert = commands.add_parser("convert", help="blocks to Parquet")
    convert.add_argument("--block", action="append", help="a TSDB block; repeatable")
    convert.add_argument("--rounds", type=int, default=5)
    convert.add_argument("--json", action="store_true")
    convert.set_defaults(run=compare_convert)
    select = commands.add_parser("select", help="series out of Parquet; the queries are in select.json")
    select.add_argument("--block", action="append",
                        help="a TSDB block; repeatable. The name of its parent directory says which queries are for it")
    select.add_argument("--latency", default="20ms", help="of each request, for another run of each query")
    select.add_argument("--rounds", type=int, default=5)
    select.add_argument("--decoders", type=int, help="threads that decode on either side; default: all")
    select.add_argument("--only", help="only the query of this name")
    select.add_argument("--convert", nargs=argparse.REMAINDER, default=[], help="further options of the converter")
    select.add_argument("--json", action="store_true")
    select.set_defaults(run=compare_select)
    promql = commands.add_parser("promql", help="PromQL over Parquet; the queries are in promql.json")
    promql.add_argument("--block", action="append", help="a TSDB block; repeatable. Targets are those of the name of its parent directory")
    promql.add_argument("--rounds", type=int, default=5)
    promql.add_argument("--budget", default="500ms", help="time to spend on repetitions of a query in a round")
    promql.add_argument("--only", help="only the query of this name")
    promql.add_argument("--json", action="store_true")
    promql.set_defaults(run=compare_promql)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
