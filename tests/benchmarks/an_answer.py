"""A contestant for tests: the right answer, or one with one thing wrong. Run with a job as JSON, and what is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

ROW = 150
WRONG = ("token", "order", "mask", "padding", "missing", "twice", "longer", "crash", "nothing")


def answer(files: list[str], tokenizer: str, max_length: int, pad_id: int) -> list[dict[str, Any]]:
    """The right rows, padded to a multiple of eight."""
    library = Tokenizer.from_file(f"{tokenizer}/tokenizer.json")
    rows = []
    for line in [line for file in files for line in Path(file).read_text("utf-8").splitlines()]:
        row = json.loads(line)
        ids = library.encode(row["text"]).ids[:max_length]
        short = -len(ids) % 8 or 8
        mask = [1] * len(ids) + [0] * short
        rows.append({"id": row["id"], "input_ids": ids + [pad_id] * short, "attention_mask": mask})
    return rows


def spoil(rows: list[dict[str, Any]], wrong: str) -> list[dict[str, Any]]:
    """Makes one thing of row `ROW` wrong."""
    row = rows[ROW]
    ids, mask = row["input_ids"], row["attention_mask"]
    if wrong == "token":
        ids[3] += 1
    elif wrong == "order":
        ids[0], ids[1] = ids[1], ids[0]
        assert ids[0] != ids[1]
    elif wrong == "mask":
        mask[-1], mask[0] = 1, 0
    elif wrong == "padding":
        ids[-1] = 7
    elif wrong == "missing":
        del rows[ROW]
    elif wrong == "twice":
        rows.append(row)
    elif wrong == "longer":
        mask[sum(mask)] = 1
    elif wrong == "crash":
        sys.exit("out of cheese")
    return rows


def main(spelled: str, wrong: str) -> None:
    """Writes an answer to the job's output."""
    job = json.loads(spelled)
    rows = spoil(answer(job["files"], job["tokenizer"], job["max_length"], job["pad_id"]), wrong)
    if wrong != "nothing":
        pq.write_table(pa.Table.from_pylist(rows[::-1]), f"{job['output']}/rows.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
