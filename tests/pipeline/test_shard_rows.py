from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contradictions import Claims
from pipeline.shard_rows import ShardRows
from transforms.arrays.bucket import Batching, Bucketing, make_layout
from transforms.arrays.formats import Writing, schema_of
from transforms.arrays.pad import Padding
from transforms.arrays.ragged import Ragged

COLUMNS = ("input_ids", "attention_mask", "special_tokens_mask", "length", "row_id")


class Case(NamedTuple):
    """A shard to be judged: its claims, what is said of it, and its rows."""

    claims: Claims
    file: dict
    batch: pa.RecordBatch


def case(lengths, widths, *, bucket=8, pad="longest", rows=2, columns=COLUMNS, side="right", **said):
    """A shard of buckets (4, 8) with rows of such lengths and widths; right in all else."""
    layout = make_layout(
        Bucketing((4, 8)), Batching(rows), Padding(pad, side=side), 8 if pad == "bucket" else None, 6, truncates=False
    )
    numbers = [np.arange(w) if side == "right" else np.arange(w)[::-1] for w in widths]
    mask = [(cells < n).astype(int).tolist() for cells, n in zip(numbers, lengths, strict=True)]
    cells = {
        "input_ids": [[5 * cell for cell in row] for row in mask],
        "attention_mask": mask,
        "special_tokens_mask": [[1 - cell for cell in row] for row in mask],
        "length": lengths,
        "row_id": [f"a%231.jsonl#{i}" for i in range(len(lengths))],
    }
    schema = schema_of({}, columns)
    claims = Claims(layout, Writing(columns=columns), frozenset({"train"}), schema, 10, frozenset({"a%231.jsonl"}))
    total = sum(lengths)
    file = {"bucket": bucket, "rows": len(lengths), "batches": -(-len(lengths) // rows), "rows_per_batch": rows}
    file |= {"width": layout.target(layout.index(bucket)), "tokens": total, "padding": sum(widths) - total}
    batch = pa.RecordBatch.from_arrays([pa.array(cells[f.name], f.type) for f in schema], schema=schema)
    return Case(claims, file | said, batch)


def problems(of, step=None):
    """What is found, however the rows come."""
    rows = ShardRows(of.file, of.claims)
    for start in range(0, of.batch.num_rows, step or 1000):
        if not rows.add(of.batch.slice(start, step)):
            return list(rows.problems)
    rows.close()
    return list(rows.problems)


FINE = {
    "longest": case([8, 5, 6, 7, 5], [8, 8, 7, 7, 5]),
    "to the bucket": case([8, 5, 6], [8, 8, 8], pad="bucket"),
    "a lower bucket": case([4, 1, 2], [4, 4, 4], bucket=4, pad="bucket"),
    "over": case([9, 10], [10, 10], bucket="over"),
    "unpadded": case([8, 5, 6], [8, 5, 6], pad="do_not_pad"),
    "left": case([8, 5, 6, 7], [8, 8, 7, 7], side="left"),
    "without cells": case([8, 5, 6], [8, 8, 6], columns=("length", "row_id")),
    "ids alone": case([8, 5, 6], [8, 8, 6], columns=("input_ids",)),
    "one": case([8], [8]),
    "none": case([], []),
}


@pytest.mark.parametrize("step", [1, 2, 3, None])
@pytest.mark.parametrize("name", FINE)
def test_shard_that_is_what_is_said_has_no_problem(name, step):
    assert problems(FINE[name], step) == []


WRONG = {
    "a row of a lower bucket": (case([8, 4], [8, 8]), "row 1 has 4 tokens, which is not of the bucket 8"),
    "a row of a higher bucket": (case([4, 5], [5, 5], bucket=4), "row 1 has 5 tokens, which is not of the bucket 4"),
    "a row below over": (case([9, 8], [9, 9], bucket="over"), "row 1 has 8 tokens, which is not of the bucket over"),
    "wide ids alone": (
        case([9, 9], [9, 9], columns=("input_ids",)),
        "row 0 is 9 wide, which is too wide for the bucket 8",
    ),
    "lengths alone": (
        case([8, 4], [8, 8], columns=("length",)),
        "row 1 has 4 tokens, which is not of the bucket 8",
    ),
    "no rectangle": (case([8, 8, 5, 6], [8, 8, 5, 6]), "batch 1 is no rectangle"),
    "too much padding": (case([8, 8, 5, 6], [8, 8, 8, 8]), "row 2 is 8 wide, where 6 is expected"),
    "too little padding": (case([5, 6], [6, 6], pad="bucket"), "row 0 is 6 wide, where 8 is expected"),
    "padding without leave": (case([5, 6], [6, 6], pad="do_not_pad"), "row 0 is 6 wide, where 5 is expected"),
    "rows": (case([8], [8], rows=9), None),
    "fewer rows": (case([8, 8], [8, 8])._replace(file=case([8], [8]).file), "has 2 rows, expected 1"),
    "tokens": (case([8, 5], [8, 8], tokens=12, padding=4), "its masks count 13 tokens, expected 12"),
    "cells": (case([8, 5], [8, 8], padding=4), "has 16 cells, expected 17"),
    "batches": (case([8, 5], [8, 8], batches=2), "has 1 batches, expected 2"),
    "width": (case([8, 5], [8, 8], width=9), "has rows that are not 9 wide"),
}


@pytest.mark.parametrize("step", [1, None])
@pytest.mark.parametrize("name", [name for name, (_, said) in WRONG.items() if said])
def test_shard_that_is_not_what_is_said_is_found(name, step):
    wrong, said = WRONG[name]
    assert said in problems(wrong, step)


def changed(of, **columns):
    """The same with other columns."""
    arrays = [pa.array(columns.get(f.name, of.batch[f.name]), f.type) for f in of.batch.schema]
    return of._replace(batch=pa.RecordBatch.from_arrays(arrays, schema=of.batch.schema))


PLAIN = case([8, 5], [8, 8])
ONES = [1] * 8
FIVE = [1] * 5 + [0] * 3


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"input_ids": [[10] * 8, [5] * 5 + [0] * 3]}, "input_ids holds 10; the vocabulary has 10 tokens"),
        ({"input_ids": [[-1] * 8, [5] * 5 + [0] * 3]}, "input_ids holds -1; the vocabulary has 10 tokens"),
        ({"input_ids": [[5] * 8, [5] * 5 + [0, 0, 1]]}, "input_ids holds several tokens where padding is"),
        ({"input_ids": [[5] * 8, None]}, "input_ids has nulls"),
        ({"input_ids": [[5] * 8, [5] * 7 + [None]]}, "input_ids has nulls"),
        ({"attention_mask": [ONES, ONES]}, "length is not the number of ones in attention_mask"),
        ({"attention_mask": [ONES, [0] * 3 + [1] * 5]}, "attention_mask does not end in padding on the right"),
        ({"attention_mask": [ONES, [2, 1, 1, 1, 0, 0, 0, 0]]}, "attention_mask holds other values than 0 and 1"),
        ({"attention_mask": [ONES, FIVE[1:]]}, "attention_mask is not as wide as the other columns"),
        ({"special_tokens_mask": [ONES, [2] * 8]}, "special_tokens_mask holds other values than 0 and 1"),
        ({"special_tokens_mask": [ONES, [0] * 8]}, "special_tokens_mask is not 1 where padding is"),
        ({"length": [8, 6]}, "length is not the number of ones in attention_mask"),
        ({"row_id": ["a%231.jsonl#1", "b.jsonl#1"]}, "has rows of 'b.jsonl', which is none of the inputs"),
        ({"row_id": ["a%231.jsonl#1", None]}, "row_id has nulls"),
    ],
)
def test_cells_that_cannot_be_are_found(columns, said):
    assert said in problems(changed(PLAIN, **columns))


def test_other_columns_than_the_schema_end_the_reading():
    other = PLAIN._replace(batch=PLAIN.batch.drop_columns(["length"]))
    (problem,) = problems(other)
    assert problem.startswith("has the columns input_ids, attention_mask, special_tokens_mask, row_id of other names")


def test_no_more_than_a_batch_of_numbers_is_held():
    many = case([8] * 1000, [8] * 1000, rows=64)
    rows = ShardRows(many.file, many.claims)
    held = 0
    for start in range(0, 1000, 10):
        rows.add(many.batch.slice(start, 10))
        held = max(held, len(rows._lengths), len(rows._widths))
    rows.close()
    assert (rows.rows, rows.problems) == (1000, {})
    assert held < 64


def test_values_before_a_slice_are_not_counted():
    assert problems(case([8, 5, 6, 7], [8, 8, 7, 7]), 1) == []
    assert Ragged.from_arrow(PLAIN.batch.slice(1)["attention_mask"]).tolist() == [FIVE]
