"""In order: groups of a unit's rows are cut as they come, and what waits for the next one is bounded."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.facts import facts
from tests.transforms.arrays.truncated_rows import COLUMNS, SHAPES, made, shaped
from transforms.arrays import groups
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.groups import Group, group_edges
from transforms.arrays.identity import choose_split, row_id_strings
from transforms.arrays.in_order import PARTS, Waiting, deal_in_order
from transforms.arrays.pad import Padding
from transforms.arrays.shape import Shape, make_shape
from transforms.arrays.shards import Shard


def written(batches: list[Any], shape: Shape, number: int = 0) -> dict[str, list[Group]]:
    """The groups of every shard of a unit that comes as these batches."""
    waiting: dict[str, Waiting] = {}
    found: dict[str, list[Group]] = {}
    for batch in batches:
        for stem, rows in deal_in_order(batch, shape, number):
            waiting.setdefault(stem, Waiting(Shard.parse(stem).bucket, shape))
            found.setdefault(stem, []).extend(waiting[stem].add(rows))
    for stem, rest in waiting.items():
        found[stem] += rest.end()
        assert rest.cells == 0 or shape.layout.drop_remainder
    return found


@given(
    st.lists(st.integers(0, 14), min_size=1, max_size=60),
    SHAPES,
    st.sampled_from([30, 100, 4 << 20]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=120, deadline=None)
def test_rows_stand_in_their_order_however_they_were_divided(lengths, shape, group_cells, random):
    middle = len(lengths) // 2  # two files, so that dictionaries of paths differ
    whole = [made(lengths[:middle]), made(lengths[middle:], file="b/c.txt")]
    pieces = []
    for batch in whole:
        cuts = sorted({0, batch.num_rows, *(random.randint(0, batch.num_rows) for _ in range(4))})
        pieces += [batch.slice(a, b - a) for a, b in pairwise(cuts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "GROUP_CELLS", group_cells)
        once, again = written(whole, shape, 2), written(pieces, shape, 2)
        assert {stem: [g.columns.to_pylist() for g in some] for stem, some in again.items()} == {
            stem: [g.columns.to_pylist() for g in some] for stem, some in once.items()
        }
        for stem, some in once.items():
            check_shard(Shard.parse(stem), some, whole, shape)


def check_shard(shard: Shard, some: list[Group], whole: list[Any], shape: Shape) -> None:
    """A shard has the rows of its split and bucket in the order of the inputs, in groups that pad_shard would cut."""
    assert (shard.number, shard.shards) == (2, shape.shards)
    index = shape.layout.index(shard.bucket)
    expected = []
    for batch in whole:
        ids = row_id_strings(batch.column("row_id"), windows=True).to_pylist()
        splits = choose_split(batch.column("row_id"), shape.seed, tuple(shape.splits.values()))
        for row, tokens in enumerate(batch.column("input_ids").to_pylist()):
            of_bucket = shape.layout.bucket_of(np.array([len(tokens)]))[0]
            if (list(shape.splits)[splits[row]], of_bucket) == (shard.split, index):
                expected.append((ids[row], tokens))
    per_batch = shape.layout.rows[index]
    if shape.layout.drop_remainder:
        expected = expected[: len(expected) // per_batch * per_batch]
    found = [row for group in some for row in group.columns.to_pylist()]
    assert [(row["row_id"], row["input_ids"][: row["length"]]) for row in found] == expected
    widths = shape.layout.widths(np.array([len(tokens) for _, tokens in expected], np.int64), index)
    assert [len(row["input_ids"]) for row in found] == widths.tolist()
    edges = [stop - start for start, stop in group_edges(widths, per_batch)]
    assert [group.columns.num_rows for group in some] == edges


def test_no_rows_are_dealt_to_no_shards():
    assert list(deal_in_order(made([]), shaped(), 0)) == []
    assert list(Waiting(8, shaped()).end()) == []


@pytest.mark.parametrize("to", ["longest", "max_length", "do_not_pad"])
def test_what_waits_is_bounded_however_much_comes(monkeypatch, to):
    monkeypatch.setattr(groups, "GROUP_CELLS", 1000)
    shape = make_shape(facts(), 0, columns=COLUMNS, batching=Batching(rows=5), padding=Padding(to=to))
    waiting, most, left = Waiting(16, shape), 0, 0
    for i in range(2000):
        left += sum(
            group.columns.num_rows for group in waiting.add(made([i % 14, 5, 9], [3 * i, 3 * i + 1, 3 * i + 2]))
        )
        most = max(most, waiting.cells)
    assert most <= 1000 + 2 * 5 * 16 + 3 * 16  # a group, the batches across its ends, and what came last
    assert left > 6000 - 1000
    assert left + sum(group.columns.num_rows for group in waiting.end()) == 6000


def test_rows_of_a_rare_bucket_wait_alone():
    shape = shaped()
    long, waiting = [2] * 500 + [20], Waiting(32, shape)
    before = pa.total_allocated_bytes()
    for i in range(200):
        for stem, rows in deal_in_order(made(long, [*range(i, i + 501)]), shape, 0):
            if Shard.parse(stem).bucket == 32:
                assert list(waiting.add(rows)) == []
        rows = None
    held = pa.total_allocated_bytes() - before
    assert waiting.cells == 200 * 22
    # 22 ids of four bytes and some numbers a row; the rows that came along are a thousand times that.
    assert held < 200 * 22 * 4 * 10


def test_few_rows_at_a_time_make_few_parts():
    waiting = Waiting(32, shaped())
    parts = []
    for i in range(5 * PARTS):
        assert list(waiting.add(made([20], [i]))) == []
        parts.append(len(waiting._parts))
    assert max(parts) == PARTS
    (group,) = waiting.end()
    assert group.columns["label"].to_pylist() == [7 * i for i in range(5 * PARTS)]


def test_long_kept_strings_fill_a_group_as_cells_do(monkeypatch):
    monkeypatch.setattr(groups, "GROUP_CELLS", 1000)
    shape = make_shape(facts(), 0, columns=COLUMNS, bucketing=Bucketing(boundaries=()), batching=Batching(rows=2))
    batch = made([1] * 20).append_column("kept", pa.array(["x" * 1000] * 19 + [None]))
    waiting = Waiting("all", shape)
    sizes = [group.columns.num_rows for group in (*waiting.add(batch), *waiting.end())]
    assert sizes == [2, 4, 4, 4, 6]  # a batch counts 2 * (3 + 250) cells, the last one half of that
