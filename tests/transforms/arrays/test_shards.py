"""Shards: where each row goes, how a shard is ordered, cut into batches and padded, and put together again."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.facts import facts
from transforms.arrays import shards as module
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.identity import choose_split, order, row_id_strings, row_ids
from transforms.arrays.pad import Padding
from transforms.arrays.shape import Shape, make_shape
from transforms.arrays.shards import Group, Shard, deal, is_padded, keyed, pad_shard, regroup, split_batches
from transforms.arrays.truncate import Truncation


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


def padded(stem, parts, shape):
    """The batches of a shard one by one, as Pad gives them."""
    bucket = Shard.parse(stem).bucket
    size, number, batches = shape.layout.rows[shape.layout.index(bucket)], 0, []
    for group in pad_shard(parts, bucket, shape):
        batches += split_batches(group, stem, size, number)
        number = len(batches)
    return batches


def test_batches_say_which_of_which_shard_they_are_and_what_their_rows_are():
    stem = "train/bucket-00008/part-00000-of-00001"
    group = Group(pa.record_batch({"a": [1, 2, 3]}), np.array([4, 4, 2]), np.array([3, 4, 2]), np.array([0, 1, 0]))
    assert not is_padded(group.columns)
    first, second = split_batches(group, stem, 2, 3)
    assert is_padded(first)
    assert (first.to_pydict(), second.to_pydict()) == ({"a": [1, 2]}, {"a": [3]})
    assert first.schema.metadata == {
        b"oblong.shard": stem.encode(),
        b"oblong.batch": b"3",
        b"oblong.rows": b'{"widths": [4, 4], "lengths": [3, 4], "dropped": [0, 1]}',
    }
    assert second.schema.metadata[b"oblong.batch"] == b"4"


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


@pytest.mark.parametrize("columns", [("input_ids", "attention_mask", "row_id"), ("input_ids",), ("length", "row_id")])
@pytest.mark.parametrize("seed", [0, 1])
def test_padded_batches_come_together_as_they_were(columns, seed):
    shape = shaped(columns, seed=seed)
    for stem, part in deal(rows(), shape):
        bucket = Shard.parse(stem).bucket
        groups = list(pad_shard([part], bucket, shape))
        batches = padded(stem, [part], shape)
        np.random.default_rng(5).shuffle(batches)
        found = list(regroup(batches, 4))
        assert [group.columns.to_pydict() for group in found] == [group.columns.to_pydict() for group in groups]
        assert [group.columns.schema for group in found] == [group.columns.schema for group in groups]
        for name in ("widths", "lengths", "dropped"):
            assert [getattr(group, name).tolist() for group in found] == [
                getattr(group, name).tolist() for group in groups
            ]


def test_groups_are_cut_at_the_same_batches(monkeypatch):
    monkeypatch.setattr(module, "GROUP_CELLS", 100)
    shape = shaped()
    for stem, part in deal(rows(), shape):
        groups = list(pad_shard([part], Shard.parse(stem).bucket, shape))
        assert len(groups) > 1
        assert all(group.columns.num_rows % 4 == 0 for group in groups[:-1])
        found = regroup(padded(stem, [part], shape), 4)
        assert [group.columns.num_rows for group in found] == [group.columns.num_rows for group in groups]


def test_parts_of_a_shard_may_come_in_any_order_and_number():
    shape = shaped()
    (part,) = [part for stem, part in deal(rows(), shape) if "00032" in stem]
    whole = list(pad_shard([part], 32, shape))
    pieces = [part.slice(i, 7) for i in range(0, part.num_rows, 7)][::-1]
    assert [g.columns.to_pydict() for g in pad_shard(pieces, 32, shape)] == [g.columns.to_pydict() for g in whole]
    assert list(pad_shard([], 32, shape)) == []


def test_remainder_is_left_out_where_it_is_asked():
    shape = shaped(drop_remainder=True)
    for stem, part in deal(rows(), shape):
        written = sum(group.columns.num_rows for group in pad_shard([part], Shard.parse(stem).bucket, shape))
        assert written == part.num_rows // 4 * 4


@pytest.mark.parametrize("bucket", [8, 32, 100_000, "all", "over"])
def test_stem_is_read_back(bucket):
    shard = Shard("a.b", bucket, 3, 12)
    assert Shard.parse(shard.stem) == shard
    assert Shard.parse(f"/x/y/{shard.stem}").split == "/x/y/a.b"


COLUMNS = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "length", "row_id")


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
        for stem, rows in deal(batch, shape):
            shards.setdefault(stem, []).append(rows)
    return shards


def written(shards: dict[str, list[Any]], shape: Shape) -> dict[str, Any]:
    """Every shard's rows as they would be written."""
    files = {}
    for stem, parts in shards.items():
        groups = [group.columns for group in pad_shard(parts, Shard.parse(stem).bucket, shape)]
        if groups:
            files[stem] = pa.Table.from_batches(groups).combine_chunks()
    return files


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


@pytest.mark.parametrize(("rows", "groups"), [(0, []), (1, []), (4, [4]), (7, [4]), (8, [8])])
def test_a_remainder_can_be_dropped(rows, groups):
    shape = make_shape(facts(), 0, columns=COLUMNS, batching=Batching(rows=4, drop_remainder=True))
    assert [group.columns.num_rows for group in pad_shard([made([2] * rows)], 16, shape)] == groups


def test_row_groups_hold_whole_batches_and_about_so_many_cells(monkeypatch):
    monkeypatch.setattr(module, "GROUP_CELLS", 100)
    shape = make_shape(facts(), 0, columns=COLUMNS, batching=Batching(rows=3), padding=Padding(to="max_length"))
    groups = list(pad_shard([made([2] * 20)], 16, shape))
    assert [group.columns.num_rows for group in groups] == [6, 6, 6, 2]  # batches of 48 cells
    assert [group.widths.tolist() for group in groups] == [[16] * group.columns.num_rows for group in groups]
    together = pa.Table.from_batches([group.columns for group in groups]).combine_chunks()
    monkeypatch.undo()
    (whole,) = pad_shard([made([2] * 20)], 16, shape)
    assert pa.Table.from_batches([whole.columns]).equals(together)


def test_a_batch_larger_than_a_row_group_is_one_of_its_own(monkeypatch):
    monkeypatch.setattr(module, "GROUP_CELLS", 10)
    shape = make_shape(facts(), 0, columns=COLUMNS, batching=Batching(rows=3), padding=Padding(to="max_length"))
    assert [group.columns.num_rows for group in pad_shard([made([2] * 8)], 16, shape)] == [3, 3, 2]


def test_a_group_counts_its_tokens_and_losses():
    batch = made([3, 5, 2])
    length = pa.StructArray.from_arrays(
        [pa.array([3, 5, 2], pa.int32()), pa.array([0, 4, 1], pa.int32())], ["text", "dropped"]
    )
    batch = batch.set_column(batch.schema.get_field_index("length"), "length", length)
    (group,) = pad_shard([batch], 16, make_shape(facts(), 0, columns=COLUMNS))
    assert (group.lengths.sum(), (group.dropped > 0).sum(), group.dropped.sum()) == (16, 2, 5)
    assert group.widths.tolist() == [7, 7, 7]


def test_kept_columns_come_first_then_the_columns_asked_for():
    (group,) = pad_shard([made([1])], 16, make_shape(facts(), 0, columns=["row_id", "input_ids", "length"]))
    assert group.columns.schema.names == ["label", "input_ids", "length", "row_id"]
    assert [str(kind) for kind in group.columns.schema.types] == ["int64", "list<item: int32>", "int32", "string"]
    assert group.columns["row_id"].to_pylist() == ["a.txt#0"]  # no window without overflow


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
