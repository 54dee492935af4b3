#!/usr/bin/env python3
"""Read Parquet files with pyarrow and with DuckDB and compare what they see.

usage: check_files.py FILE...

Every file is read completely by both, pyarrow with page checksums verified. Both must agree on the columns, the row
count and every value. Files that belong together as <n>.labels.parquet and <n>.chunks.parquet must have the same rows
and row groups. Prints one line per file, PASS or FAIL; the exit code is 1 if any failed, 2 on wrong usage.
"""

import hashlib
import os
import re
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

# Rows that are hashed together: bounds memory, and says roughly where a difference lies.
BATCH_ROWS = 2048
# Columns read together. A file may have 60,000 columns: one query of them all would take DuckDB minutes.
COLUMNS_AT_ONCE = 64
TEXT_AND_BYTES = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view())


class Difference(Exception):
    """The two readers disagree, or the file breaks a rule that both can see."""


def digest(values):
    """Hash a list of byte strings, strings or nulls, unambiguously."""
    h = hashlib.blake2b(digest_size=16)
    for value in values:
        if value is None:
            h.update(b"N")
            continue
        raw = value.encode("utf-8") if isinstance(value, str) else bytes(value)
        h.update(b"V%d:" % len(raw))
        h.update(raw)
    return h.digest()


def rebatched(batches, names):
    """Turn batches of any size into lists of BATCH_ROWS values per column."""
    pending = []
    count = 0
    for batch in batches:
        offset = 0
        while offset < batch.num_rows:
            take = min(batch.num_rows - offset, BATCH_ROWS - count)
            pending.append(batch.slice(offset, take))
            count += take
            offset += take
            if count == BATCH_ROWS:
                yield columns_of(pending, names)
                pending, count = [], 0
    if count:
        yield columns_of(pending, names)


def columns_of(batches, names):
    out = []
    for i, name in enumerate(names):
        values = []
        for batch in batches:
            column = batch.column(i)
            if column.type not in TEXT_AND_BYTES:
                raise Difference(f"column {name} has the type {column.type}")
            # Compared as bytes: the types of the two readers differ (string, large_string, string_view).
            values.extend(column.cast(pa.large_binary()).to_pylist())
        out.append(values)
    return out


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def duckdb_batches(connection, path, names):
    columns = ", ".join(quoted(n) for n in names)
    return connection.sql(f"SELECT {columns} FROM read_parquet(?)", params=[path]).to_arrow_reader(BATCH_ROWS)


def check(path):
    """Compare both readers on one file; gives a summary and the rows of each row group."""
    # A second reading of the same bytes by name would be blind to column order: take it from the footer.
    file = pq.ParquetFile(path, page_checksum_verification=True)
    names = file.schema_arrow.names
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    rows = file.metadata.num_rows
    if len(set(names)) != len(names):
        raise Difference("column names are not unique")

    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = true")
    (count,) = connection.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchone()
    if count != rows or rows != sum(groups):
        raise Difference(f"pyarrow sees {rows} rows in groups of {groups}, DuckDB {count}")
    seen = [row[0] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()]
    if seen != names:
        raise Difference(f"pyarrow sees the columns {names}, DuckDB {seen}")

    nulls = values = 0
    for at in range(0, len(names), COLUMNS_AT_ONCE):
        part = names[at : at + COLUMNS_AT_ONCE]
        arrow = rebatched(file.iter_batches(batch_size=BATCH_ROWS, columns=part), part)
        duck = rebatched(duckdb_batches(connection, path, part), part)
        read = 0
        while True:
            a, d = next(arrow, None), next(duck, None)
            if a is None and d is None:
                break
            if a is None or d is None or len(a[0]) != len(d[0]):
                raise Difference(f"columns {part[0]}…: one reader ends early, after {read} rows")
            for name, left, right in zip(part, a, d):
                if digest(left) != digest(right):
                    row = next(i for i, (x, y) in enumerate(zip(left, right)) if x != y)
                    raise Difference(f"column {name}, row {read + row}: pyarrow reads {left[row]!r}, DuckDB {right[row]!r}")
                nulls += left.count(None)
                values += len(left) - left.count(None)
            read += len(a[0])
        if read != rows:
            raise Difference(f"columns {part[0]}…: {read} rows were read of {rows}")
    check_bounds(connection, path, names, rows)
    return f"{rows} rows, {len(groups)} row groups, {len(names)} columns, {values} values, {nulls} nulls", groups


def check_bounds(connection, path, names, rows):
    """A reader that prunes by statistics must find what a full scan finds."""
    labels = [n for n in names if n.startswith("l_")]
    for name in labels[:20]:
        column = quoted(name)
        source = "read_parquet(?)"
        picked = connection.execute(
            f"SELECT v, n FROM (SELECT {column} AS v, count(*) AS n FROM {source} WHERE {column} IS NOT NULL GROUP BY 1) ORDER BY hash(v) LIMIT 3", [path]
        ).fetchall()
        for value, n in picked:
            (found,) = connection.execute(f"SELECT count(*) FROM {source} WHERE {column} = ?", [path, value]).fetchone()
            filtered = pq.read_table(path, columns=[name], filters=[(name, "=", value)], page_checksum_verification=True).num_rows
            if (found, filtered) != (n, n):
                raise Difference(f"column {name} = {value!r}: {n} rows have it, DuckDB finds {found}, pyarrow {filtered}")


def main(paths):
    if not paths or any(p.startswith("-") for p in paths):
        print(__doc__, file=sys.stderr)
        return 2
    failed = False
    shards = {}
    for path in paths:
        try:
            summary, groups = check(path)
            print(f"PASS python {path}: {summary}")
            if match := re.fullmatch(r"(.*)\.(labels|chunks)\.parquet", path):
                shards.setdefault(match[1], {})[match[2]] = groups
        except (Difference, OSError, pa.ArrowException, duckdb.Error, ValueError) as e:
            failed = True
            print(f"FAIL python {path}: {type(e).__name__}: {e}")
    for shard, files in shards.items():
        if len(files) == 2 and files["labels"] != files["chunks"]:
            failed = True
            print(f"FAIL python {shard}: rows of the row groups differ: labels {files['labels']}, chunks {files['chunks']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
