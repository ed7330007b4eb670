"""Groups: how a shard is ordered, cut into batches and padded, and put together again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.transforms.arrays.facts import facts
from tests.transforms.arrays.truncated_rows import COLUMNS, made, padded, rows, shaped
from transforms.arrays import groups as module
from transforms.arrays.bucket import Batching
from transforms.arrays.errors import JobError
from transforms.arrays.groups import Group, gather, is_padded, pad_shard, regroup, split_batches
from transforms.arrays.pad import Padding
from transforms.arrays.ragged import Ragged
from transforms.arrays.shape import make_shape
from transforms.arrays.shards import Shard, deal


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


def test_kept_strings_that_no_array_can_hold_fail_with_what_to_do():
    size = 1_100_000_000
    offsets, data = pa.py_buffer(np.array([0, size], np.int32)), pa.py_buffer(np.zeros(size, np.uint8))
    huge = pa.StringArray.from_buffers(1, offsets, data)
    part = pa.record_batch({"input_ids": Ragged.of([[1]]).to_arrow(), "text": huge})
    with pytest.raises(JobError, match=r"read\.keep: the strings of 'text' in one shard take more than 2 GiB"):
        gather([part, part])
