"""Shards: where each row goes, and what stands in each shard in the end."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.facts import facts
from tests.transforms.arrays.truncated_rows import COLUMNS, SHAPES, made, padded, rows, shaped
from transforms.arrays.bucket import Bucketing
from transforms.arrays.groups import pad_shard
from transforms.arrays.identity import choose_split, order, row_id_strings
from transforms.arrays.shape import Shape, make_shape
from transforms.arrays.shards import Shard, deal, keyed


def test_rows_are_keyed_however_they_come():
    shape = shaped(shards=3)
    batch = rows()
    dealt = list(deal(batch, shape))
    assert [(key, part.num_rows) for key, part in keyed(batch, shape)] == [(key, part.num_rows) for key, part in dealt]
    assert list(keyed(dealt[0], shape)) == [dealt[0]]
    one = padded(*[dealt[0][0], [dealt[0][1]]], shape)[0]
    assert list(keyed(one, shape)) == [(dealt[0][0], one)]


def test_every_row_goes_to_one_shard_of_its_bucket():
    shape = shaped(shards=3)
    dealt = list(deal(rows(), shape))
    assert sum(part.num_rows for _, part in dealt) == 100
    for stem, part in dealt:
        widths = [len(ids) for ids in part["input_ids"].to_pylist()]
        assert {8 if width <= 8 else 32 for width in widths} == {Shard.parse(stem).bucket}
    assert {Shard.parse(stem).number for stem, _ in dealt} == {0, 1, 2}


@pytest.mark.parametrize("bucket", [8, 32, 100_000, "all", "over"])
def test_stem_is_read_back(bucket):
    shard = Shard("a.b", bucket, 3, 12)
    assert Shard.parse(shard.stem) == shard
    assert Shard.parse(f"/x/y/{shard.stem}").split == "/x/y/a.b"


@pytest.mark.parametrize(
    ("shard", "stem"),
    [
        (Shard("train", 128, 3, 8), "train/bucket-00128/part-00003-of-00008"),
        (Shard("a b", "all", 0, 1), "a b/bucket-all/part-00000-of-00001"),
        (Shard("validation", "over", 12, 100), "validation/bucket-over/part-00012-of-00100"),
        (Shard("train", 131072, 100000, 100001), "train/bucket-131072/part-100000-of-100001"),
        (Shard("bucket-1-of-2", 8, 0, 1), "bucket-1-of-2/bucket-00008/part-00000-of-00001"),
    ],
)
def test_a_shard_s_stem_can_be_read_back(shard, stem):
    assert shard.stem == stem
    assert Shard.parse(stem) == shard


def dealt(batches: list[Any], shape: Shape) -> dict[str, list[Any]]:
    shards: dict[str, list[Any]] = {}
    for batch in batches:
        for stem, part in deal(batch, shape):
            shards.setdefault(stem, []).append(part)
    return shards


def written(shards: dict[str, list[Any]], shape: Shape) -> dict[str, Any]:
    """Every shard's rows as they would be written."""
    files = {}
    for stem, parts in shards.items():
        groups = [group.columns for group in pad_shard(parts, Shard.parse(stem).bucket, shape)]
        if groups:
            files[stem] = pa.Table.from_batches(groups).combine_chunks()
    return files


@given(st.lists(st.integers(0, 14), min_size=1, max_size=40), SHAPES, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_files_are_the_same_however_rows_are_divided_into_batches(lengths, shape, random):
    rows = len(lengths)
    middle = rows // 2  # two files, so that dictionaries of paths differ
    first = made(lengths[:middle])
    second = made(lengths[middle:], list(range(rows - middle)), file="b/c.txt")
    once = written(dealt([first, second], shape), shape)
    pieces = []
    for batch in (first, second):
        cuts = sorted({0, batch.num_rows, *(random.randint(0, batch.num_rows) for _ in range(3))})
        pieces += [batch.slice(a, b - a) for a, b in pairwise(cuts)]
    random.shuffle(pieces)
    shards = dealt(pieces, shape)
    for parts in shards.values():
        random.shuffle(parts)
    again = written(shards, shape)
    assert sorted(again) == sorted(once)
    for stem, table in once.items():
        assert again[stem].equals(table)
    if not shape.layout.drop_remainder:
        found = sorted(row_id for table in once.values() for row_id in table["row_id"].to_pylist())
        everything = [row_id_strings(batch.column("row_id"), windows=True).to_pylist() for batch in (first, second)]
        assert found == sorted(chain.from_iterable(everything))


@given(st.lists(st.integers(0, 14), min_size=1, max_size=40), SHAPES)
@settings(max_examples=60, deadline=None)
def test_every_row_is_whole_and_stands_in_the_place_its_identity_gives_it(lengths, shape):
    batch = made(lengths)
    ids = dict(zip(row_id_strings(batch.column("row_id"), windows=True).to_pylist(), range(len(lengths)), strict=True))
    splits = choose_split(batch.column("row_id"), shape.seed, tuple(shape.splits.values()))
    rank = {int(row): place for place, row in enumerate(order(batch.column("row_id"), shape.seed))}
    for stem, table in written(dealt([batch], shape), shape).items():
        shard = Shard.parse(stem)
        rows = [ids[row_id] for row_id in table["row_id"].to_pylist()]
        assert [rank[row] for row in rows] == sorted(rank[row] for row in rows)
        per_batch = shape.layout.rows[shape.layout.index(shard.bucket)]
        widths = [len(cells) for cells in table["input_ids"].to_pylist()]
        if shape.layout.drop_remainder:
            assert len(rows) % per_batch == 0
        if shape.layout.padding.pads:
            assert all(len(set(widths[k : k + per_batch])) == 1 for k in range(0, len(rows), per_batch))
        for row, found in zip(rows, table.to_pylist(), strict=True):
            tokens = batch.column("input_ids")[row].as_py()
            assert list(shape.splits)[splits[row]] == shard.split
            assert shape.layout.label(int(shape.layout.bucket_of(np.array([len(tokens)]))[0])) == shard.bucket
            assert found["length"] == len(tokens)
            assert found["label"] == row * 7
            assert found["input_ids"][: len(tokens)] == tokens
            assert set(found["input_ids"][len(tokens) :]) <= {0}
            assert found["attention_mask"] == [1] * len(tokens) + [0] * (len(found["input_ids"]) - len(tokens))


def test_no_rows_are_dealt_to_no_shards():
    shape = make_shape(facts(), 0, columns=COLUMNS)
    assert list(deal(made([]), shape)) == []
    assert list(pad_shard([], 16, shape)) == []
    assert list(pad_shard([made([])], 16, shape)) == []


def test_shards_are_dealt_in_the_order_of_their_numbers_each_once():
    shape = make_shape(
        facts(),
        0,
        columns=COLUMNS,
        shards=3,
        splits={"train": 0.5, "test": 0.5},
        bucketing=Bucketing(boundaries=(4, 8)),
    )
    stems = [stem for stem, _ in deal(made([0, 4, 9] * 30), shape)]
    expected = [
        Shard(split, bucket, number, 3).stem
        for split in ("train", "test")
        for bucket in (4, 8, 16)
        for number in range(3)
    ]
    assert stems == expected
