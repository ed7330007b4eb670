"""A corpus that grows, for tests of what is made of it."""

import json
import os
import time

import pyarrow.parquet as pq

from pipeline import read_data_set
from tests.runs import oblong, set_flags, some_rows, write_jsonl

ROWS = some_rows(60)


class World:
    """A corpus that grows, and what is made of it."""

    def __init__(self, folder, tokenizer):
        self.folder = folder
        self.out = folder / "out"
        self._tokenizer = tokenizer

    def arrive(self, name, rows, age=1000):
        path = write_jsonl(self.folder / "in" / name, rows)
        os.utime(path, (time.time() - age,) * 2)
        return path

    def begin(self, name, age=0):
        path = self.folder / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half of a header")
        os.utime(path, (time.time() - age,) * 2)
        return path

    def flags(self, **settings):
        settings = {"read.root": str(self.folder / "in"), "run.incremental": True, "batch.rows": 4} | {
            key.replace("__", "."): value for key, value in settings.items()
        }
        short = (f"--input={self.folder}/in/*.jsonl*", f"--tokenizer={self._tokenizer}", f"--output={self.out}")
        return [*short, *set_flags(settings), "--set=write.columns=[input_ids, row_id]"]

    def run(self, *more, **settings):
        return oblong("run", *self.flags(**settings), "--json", *more)

    def rows(self):
        manifest = read_data_set(str(self.out))
        tables = [pq.read_table(self.out / file["path"]) for file in manifest["files"]]
        return sorted(row for table in tables for row in table["row_id"].to_pylist())


def names(*counts):
    return sorted(f"{name}#{position}" for name, rows in counts for position in positions(rows))


def positions(rows):
    place, found = 0, []
    for row in rows:
        found.append(place)
        place += len(json.dumps(row, ensure_ascii=False).encode()) + 1
    return found
