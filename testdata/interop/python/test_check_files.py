"""check_files.py must pass a good file and fail damaged ones."""

import contextlib
import io
import os
import pathlib
import tempfile
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

import check_files

LABELS = {"l___name__": ["a", "b", "b", None, "名\x00"] * 1000, "s_series_hash": [bytes([i % 256]) * 8 for i in range(5000)]}


def run(*paths):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = check_files.main([str(p) for p in paths])
    return code, text.getvalue()


class CheckFiles(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def file(self, name, columns=LABELS, **options):
        path = pathlib.Path(self.dir.name, name)
        pq.write_table(pa.table(columns), path, write_page_checksum=True, compression="none", **options)
        return path

    def test_good_file_passes(self):
        code, text = run(self.file("0.labels.parquet"), self.file("0.chunks.parquet"))
        self.assertEqual((code, text.count("PASS")), (0, 2), text)

    def test_flipped_page_fails(self):
        path = self.file("0.labels.parquet")
        data = bytearray(path.read_bytes())
        # Inside the hash column's pages: readers that trust the bytes would not notice.
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        code, text = run(path)
        self.assertEqual(code, 1, text)
        self.assertIn("FAIL", text)

    def test_truncated_file_fails(self):
        path = self.file("0.labels.parquet")
        path.write_bytes(path.read_bytes()[:-100])
        self.assertEqual(run(path)[0], 1)

    def test_missing_file_fails(self):
        self.assertEqual(run(pathlib.Path(self.dir.name, "none.parquet"))[0], 1)

    def test_different_row_groups_of_a_shard_fail(self):
        code, text = run(self.file("0.labels.parquet"), self.file("0.chunks.parquet", row_group_size=3000))
        self.assertEqual(code, 1, text)
        self.assertIn("rows of the row groups differ", text)

    def test_other_types_fail(self):
        code, text = run(self.file("0.labels.parquet", {"n": [1, 2, 3]}))
        self.assertEqual(code, 1, text)
        self.assertIn("has the type int64", text)

    def test_readers_that_disagree_fail(self):
        original = check_files.duckdb_batches
        self.addCleanup(setattr, check_files, "duckdb_batches", original)
        changed = dict(LABELS, l___name__=["a", "b", "b", "", "名\x00"] * 1000)  # "" for null
        check_files.duckdb_batches = lambda _connection, _path, names: pa.table(changed).select(names).to_batches()
        code, text = run(self.file("0.labels.parquet"))
        self.assertEqual(code, 1, text)
        self.assertIn("column l___name__, row 3: pyarrow reads None, DuckDB b''", text)


if __name__ == "__main__":
    unittest.main()
