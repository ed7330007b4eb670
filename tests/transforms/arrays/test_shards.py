import numpy as np
import pyarrow as pa
import pytest

from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.facts import TokenizerFacts
from transforms.arrays.identity import row_ids
from transforms.arrays.pad import Padding
from transforms.arrays.shape import make_shape
from transforms.arrays.shards import Shard, deal, is_padded, keyed, mark, pad_shard, regroup
from transforms.arrays.template import Piece, Template
from transforms.arrays.truncate import Truncation

SINGLE = Template((Piece(101, None, 0), Piece(None, 0, 0), Piece(102, None, 0)))
PAIR = Template((*SINGLE.pieces, Piece(None, 1, 1), Piece(102, None, 1)))
FACTS = TokenizerFacts("", 1000, None, "right", "right", "[PAD]", 0, None, SINGLE, PAIR)


def shaped(columns=("input_ids", "attention_mask", "row_id"), shards=1, seed=0, **batching):
    return make_shape(
        FACTS,
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
        for start in range(0, group.columns.num_rows, size):
            batches.append(mark(group.columns.slice(start, size), stem, number))
            number += 1
    return batches


def test_mark_says_which_batch_of_which_shard(monkeypatch):
    batch = pa.record_batch({"a": [1]})
    assert not is_padded(batch)
    marked = mark(batch, "train/bucket-00008/part-00000-of-00001", 3)
    assert is_padded(marked)
    assert marked.to_pydict() == {"a": [1]}
    assert marked.schema.metadata == {
        b"oblong.shard": b"train/bucket-00008/part-00000-of-00001",
        b"oblong.batch": b"3",
    }


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
        if "input_ids" in columns:
            assert [group.widths.tolist() for group in found] == [group.widths.tolist() for group in groups]
        if "attention_mask" in columns:
            assert [group.tokens for group in found] == [group.tokens for group in groups]


def test_groups_are_cut_at_the_same_batches(monkeypatch):
    from transforms.arrays import shards as module

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
