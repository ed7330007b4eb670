"""The shape of a job: what is decided before a row is seen, and where each row goes."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.arrays import shards as shape_module
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.errors import ConfigError
from transforms.arrays.facts import TokenizerFacts
from transforms.arrays.identity import choose_split, order, row_id_strings, row_ids
from transforms.arrays.pad import Padding
from transforms.arrays.shape import Shape, make_shape
from transforms.arrays.shards import Shard, deal, pad_shard
from transforms.arrays.template import Piece, Template
from transforms.arrays.truncate import Truncation

SINGLE = Template((Piece(101, None, 0), Piece(None, 0, 0), Piece(102, None, 0)))
PAIR = Template((*SINGLE.pieces, Piece(None, 1, 1), Piece(102, None, 1)))
COLUMNS = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "length", "row_id")


def facts(**changes: Any) -> TokenizerFacts:
    usual = {
        "sha256": "",
        "vocab_size": 1000,
        "model_max_length": 16,
        "truncation_side": "right",
        "padding_side": "right",
        "pad_token": "[PAD]",
        "pad_token_type_id": 0,
        "model_input_names": None,
        "single": SINGLE,
        "pair": PAIR,
    }
    return TokenizerFacts(**(usual | changes))


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


def test_the_usual_shape_goes_by_the_model_s_maximum():
    shape = make_shape(facts(), 0)
    assert (shape.truncation.max_length, shape.truncation.side, shape.truncation.name) == (16, "right", "longest_first")
    assert (shape.layout.edges, shape.budget, shape.notes) == ((16,), 14, ())
    assert (shape.values.input_ids, shape.values.side) == (0, "right")
    assert (shape.splits, shape.shards, shape.seed) == ({"train": 1.0}, 1, 0)


def test_pairs_have_their_own_template_and_budget():
    assert make_shape(facts(), 0, pair=True).template == PAIR
    assert make_shape(facts(), 0, pair=True).budget == 13


@pytest.mark.parametrize(
    ("asked", "own", "side"), [(None, "left", "left"), ("right", "left", "right"), ("left", "right", "left")]
)
def test_sides_are_the_option_s_else_the_tokenizer_s(asked, own, side):
    about = facts(truncation_side=own, padding_side=own)
    shape = make_shape(about, 0, truncation=Truncation(side=asked), padding=Padding(side=asked))
    assert (shape.truncation.side, shape.values.side, shape.layout.padding.side) == (side, side, side)


@pytest.mark.parametrize(
    ("truncation", "padding", "maximum", "limit", "width"),
    [
        (Truncation(), Padding(to="max_length"), 16, 16, 16),
        (Truncation(max_length=10), Padding(to="max_length"), 16, 10, 10),
        (Truncation(max_length=10), Padding(to="max_length", length=16), 16, 10, 16),
        (Truncation(), Padding(to="max_length", length=40), 16, 16, 40),
        (Truncation(strategy=False), Padding(to="max_length"), 16, None, 16),
        (Truncation(strategy=False, max_length=10), Padding(to="max_length"), 16, None, 10),
        (Truncation(max_length=10), Padding(to="max_length"), None, 10, 10),
        (Truncation(strategy=False), Padding(to="max_length", length=20), None, None, 20),
    ],
)
def test_limits_and_widths_are_resolved(truncation, padding, maximum, limit, width):
    shape = make_shape(facts(model_max_length=maximum), 0, truncation=truncation, padding=padding)
    assert shape.budget == (None if limit is None else limit - 2)
    assert shape.layout.padding.length == width
    assert shape.notes == ()


def test_without_any_maximum_truncation_and_padding_to_it_are_off_and_said_to_be():
    shape = make_shape(facts(model_max_length=None), 0, padding=Padding(to="max_length"))
    assert shape.budget is None
    assert not shape.truncation.truncates
    assert not shape.layout.padding.pads
    assert [note.split(":")[0] for note in shape.notes] == ["truncation is OFF", "padding is OFF"]


@pytest.mark.parametrize(
    ("names", "pair_template", "columns"),
    [
        (None, PAIR, ("input_ids", "attention_mask", "token_type_ids")),
        (None, SINGLE, ("input_ids", "attention_mask")),
        (("attention_mask", "input_ids"), PAIR, ("input_ids", "attention_mask")),
    ],
)
def test_columns_are_those_the_model_takes(names, pair_template, columns):
    assert make_shape(facts(model_input_names=names, pair=pair_template), 0).columns == columns


def test_an_input_of_the_model_that_cannot_be_made_is_named():
    shape = make_shape(facts(model_input_names=("input_ids", "bbox")), 0)
    assert shape.columns == ("input_ids",)
    assert shape.notes == ("the model takes bbox, which is not made here",)


def test_columns_asked_for_come_in_their_own_order_and_may_be_one():
    assert make_shape(facts(), 0, columns=["row_id", "length", "input_ids"]).columns == (
        "input_ids",
        "length",
        "row_id",
    )
    assert make_shape(facts(), 0, columns="input_ids").columns == ("input_ids",)
    assert make_shape(facts(), 0, columns=["length"]).layout.fits(np.array([3, 16])).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["input_id"]}, r"^write\.columns: 'input_id' is not known; did you mean input_ids\?$"),
        ({"splits": {"train": 0.9, "test": 0.2}}, r"^split: the shares add up to 1\.1"),
        ({"splits": {"train": 1.5, "test": -0.5}}, r"^split\.train: 1\.5 is no share"),
        ({"splits": {"dead_letters": 1.0}}, r"^split\.dead_letters: this cannot be the name"),
        ({"splits": {"a/b": 1.0}}, r"^split\.a/b: this cannot be the name"),
        ({"splits": {"": 1.0}}, r"^split\.: this cannot be the name"),
        ({"splits": {"..": 1.0}}, r"^split\.\.\.: this cannot be the name"),
        ({"pad_id": None}, r"^pad\.token: padding needs the id of a pad token$"),
        ({"truncation": Truncation(max_length=2)}, r"^truncate\.max_length: 2 leaves no room"),
        ({"truncation": Truncation(strategy="only_second")}, r"^truncate\.strategy: only_second needs pairs"),
        ({"batching": Batching(max_bytes=10), "padding": Padding(to="bucket")}, r"^batch\.max_bytes: "),
    ],
)
def test_what_contradicts_itself_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make_shape(facts(), **({"pad_id": 0} | options))


def test_without_padding_no_pad_token_is_needed():
    assert make_shape(facts(), None, padding=Padding(to=False)).layout.padding.pads is False


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
    monkeypatch.setattr(shape_module, "GROUP_CELLS", 100)
    shape = make_shape(facts(), 0, columns=COLUMNS, batching=Batching(rows=3), padding=Padding(to="max_length"))
    groups = list(pad_shard([made([2] * 20)], 16, shape))
    assert [group.columns.num_rows for group in groups] == [6, 6, 6, 2]  # batches of 48 cells
    assert [group.widths.tolist() for group in groups] == [[16] * group.columns.num_rows for group in groups]
    together = pa.Table.from_batches([group.columns for group in groups]).combine_chunks()
    monkeypatch.undo()
    (whole,) = pad_shard([made([2] * 20)], 16, shape)
    assert pa.Table.from_batches([whole.columns]).equals(together)


def test_a_batch_larger_than_a_row_group_is_one_of_its_own(monkeypatch):
    monkeypatch.setattr(shape_module, "GROUP_CELLS", 10)
    shape = make_shape(facts(), 0, columns=COLUMNS, batching=Batching(rows=3), padding=Padding(to="max_length"))
    assert [group.columns.num_rows for group in pad_shard([made([2] * 8)], 16, shape)] == [3, 3, 2]


def test_a_group_counts_its_tokens_and_losses():
    batch = made([3, 5, 2])
    length = pa.StructArray.from_arrays(
        [pa.array([3, 5, 2], pa.int32()), pa.array([0, 4, 1], pa.int32())], ["text", "dropped"]
    )
    batch = batch.set_column(batch.schema.get_field_index("length"), "length", length)
    (group,) = pad_shard([batch], 16, make_shape(facts(), 0, columns=COLUMNS))
    assert (group.tokens, group.truncated, group.dropped) == (16, 2, 5)
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
