"""What the tests of shards share: rows as Truncate gives them, and shapes of many kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from tests.transforms.arrays.facts import facts
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.groups import pad_shard, split_batches
from transforms.arrays.identity import row_ids
from transforms.arrays.pad import Padding
from transforms.arrays.shape import make_shape
from transforms.arrays.shards import Shard
from transforms.arrays.truncate import Truncation

COLUMNS = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "length", "row_id")


def shaped(columns=("input_ids", "attention_mask", "row_id"), shards=1, seed=0, **batching):
    return make_shape(
        facts(model_max_length=None),
        0,
        truncation=Truncation(max_length=32),
        bucketing=Bucketing(boundaries=(8, 32)),
        batching=Batching(rows=4, **batching),
        padding=Padding(to="longest"),
        columns=columns,
        shards=shards,
        seed=seed,
    )


def rows(count=100):
    """Rows as Truncate gives them, of 2 to 21 tokens."""
    sizes = [2 + i % 20 for i in range(count)]
    return pa.RecordBatch.from_pydict(
        {
            "row_id": row_ids("a.txt", np.arange(count)),
            "input_ids": pa.array([[101, *range(1, n - 1), 102] for n in sizes], pa.list_(pa.int32())),
            "length": pa.array(
                [{"text": n - 2, "dropped": 0} for n in sizes],
                pa.struct([("text", pa.int32()), ("dropped", pa.int32())]),
            ),
            "label": pa.array(range(count), pa.int64()),
        }
    )


def made(lengths: list[int], positions: list[int] | None = None, file: str = "a.txt") -> Any:
    """Truncated rows, as the step before gives them: ids tell the row."""
    positions = list(range(len(lengths))) if positions is None else positions
    ids = [[101, *(1000 + 50 * p + k for k in range(n)), 102] for p, n in zip(positions, lengths, strict=True)]
    windows = np.array([p % 3 for p in positions], np.int32)
    zeros = np.zeros(len(lengths), np.int32)
    return pa.RecordBatch.from_pydict(
        {
            "row_id": row_ids(file, np.array(positions, np.int64), windows),
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "length": pa.StructArray.from_arrays([pa.array(lengths, pa.int32()), pa.array(zeros)], ["text", "dropped"]),
            "label": pa.array([p * 7 for p in positions], pa.int64()),
        }
    )


def padded(stem, parts, shape):
    """The batches of a shard one by one, as Pad gives them."""
    bucket = Shard.parse(stem).bucket
    size, number, batches = shape.layout.rows[shape.layout.index(bucket)], 0, []
    for group in pad_shard(parts, bucket, shape):
        batches += split_batches(group, stem, size, number)
        number = len(batches)
    return batches


SHAPES = st.builds(
    lambda rows, boundaries, shards, splits, seed, to, drop: make_shape(
        facts(),
        0,
        truncation=Truncation(overflow=True),
        bucketing=Bucketing(boundaries=boundaries),
        batching=Batching(rows=rows, drop_remainder=drop),
        padding=Padding(to=to),
        columns=COLUMNS,
        seed=seed,
        shards=shards,
        splits=splits,
    ),
    st.integers(1, 4),
    st.sampled_from([(), (4, 8)]),
    st.integers(1, 3),
    st.sampled_from([{"train": 1.0}, {"train": 0.6, "test": 0.4}]),
    st.integers(0, 5),
    st.sampled_from(["longest", "max_length", "do_not_pad"]),
    st.booleans(),
)
