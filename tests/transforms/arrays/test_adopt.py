"""Rows of somebody else's pipeline: which columns they get, and that nothing else about them changes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.arrays.facts import PAIR, SINGLE, facts
from transforms.arrays.adopt import content_hash, with_contents, with_identity, with_length
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.errors import JobError
from transforms.arrays.groups import pad_shard
from transforms.arrays.identity import ROW_ID, row_ids
from transforms.arrays.shape import make_shape
from transforms.arrays.shards import Shard, deal
from transforms.arrays.template import Piece, Template

# BERT's special tokens around 3, 0 and 1 tokens.
IDS = [[101, 7, 8, 9, 102], [101, 102], [101, 5, 102]]

BARE = Template((Piece(None, 0, 0),))  # of a tokenizer without special tokens

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def of_ids(ids: Any, kind: Any = None) -> Any:
    return pa.record_batch({"input_ids": pa.array(ids, kind or pa.list_(pa.int32()))})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, 3005778365687526272),
        ({"text": "a"}, 3221900648179674693),
        ({"text": "é", "label": None, "score": 0.5, "easy": True}, 8330146118201163459),
        ({"input_ids": [101, 7, 102]}, 6198960564699509258),
    ],
)
def test_hash_of_a_row_is_the_same_in_every_version(row, expected):
    assert content_hash(row) == expected


@given(st.dictionaries(st.text(), scalars, max_size=6), st.randoms(use_true_random=False))
def test_hash_does_not_depend_on_the_order_of_columns_and_has_63_bits(row, shuffler):
    items = list(row.items())
    shuffler.shuffle(items)
    assert content_hash(dict(items)) == content_hash(row)
    assert 0 <= content_hash(row) < 2**63


def test_hash_tells_rows_apart_by_names_values_and_types():
    rows = [{}, {"a": 1}, {"b": 1}, {"a": 2}, {"a": "1"}, {"a": 1.5}, {"a": True}, {"a": None}, {"a": [1]}, {"a": b"1"}]
    assert len({content_hash(row) for row in rows}) == len(rows)


def test_rows_without_an_identity_get_the_hash_of_their_content():
    batch = pa.record_batch({"text": ["a", "b", "a"], "label": pa.array([1, None, 1], pa.int64())})
    found = with_identity(batch)
    assert found.schema.names == ["text", "label", "row_id"]
    assert found.select(["text", "label"]).equals(batch)
    assert found.schema.field("row_id").type == ROW_ID
    assert found["row_id"].to_pylist() == [
        {"file": "", "position": content_hash({"text": text, "label": label}), "window": 0}
        for text, label in (("a", 1), ("b", None), ("a", 1))
    ]


def test_an_identity_does_not_depend_on_the_batch_a_row_comes_in():
    batch = pa.record_batch({"text": ["a", "b", "c"], "label": [1, 2, 3]})
    whole = with_identity(batch)["row_id"].to_pylist()
    parts = [with_identity(batch.slice(i, 1).select(["label", "text"]))["row_id"].to_pylist()[0] for i in range(3)]
    assert parts == whole
    assert with_identity(batch.slice(0, 0)).num_rows == 0


def test_an_identity_that_is_there_stays():
    batch = of_ids(IDS).append_column(pa.field("row_id", ROW_ID), row_ids("a.txt", np.arange(3)))
    assert with_identity(batch) is batch


def test_a_column_of_that_name_that_is_no_identity_is_refused():
    with pytest.raises(JobError, match=r"^row_id: this column is Oblong's own; call yours something else$"):
        with_identity(pa.record_batch({"row_id": [1, 2], "text": ["a", "b"]}))


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int32()), pa.list_(pa.int64()), pa.large_list(pa.uint16()), pa.list_(pa.int16(), 2)]
)
def test_plain_lists_of_ids_are_taken_for_a_single_text(kind):
    batch = pa.record_batch({"input_ids": pa.array([[7, 8], [9, 10]], kind), "label": [1, 2]})
    found = with_contents(batch)
    assert found.schema.names == ["input_ids", "label"]
    assert found.schema.field("input_ids").type == pa.struct([("text", pa.list_(pa.int32()))])
    assert found.to_pylist() == [
        {"input_ids": {"text": [7, 8]}, "label": 1},
        {"input_ids": {"text": [9, 10]}, "label": 2},
    ]


def test_ids_by_text_stay_as_they_are():
    batch = pa.record_batch({"input_ids": [{"text": [7], "text_pair": [8, 9]}]})
    assert with_contents(batch) is batch


@pytest.mark.parametrize("kind", [pa.list_(pa.int32()), pa.list_(pa.int64()), pa.large_list(pa.int32())])
def test_rows_with_their_special_tokens_get_the_length_of_what_is_between(kind):
    found = with_length(of_ids(IDS, kind), SINGLE)
    assert found.schema.names == ["input_ids", "length"]
    assert found.schema.types == [pa.list_(pa.int32()), pa.struct([("text", pa.int32()), ("dropped", pa.int32())])]
    assert found["input_ids"].to_pylist() == IDS
    assert found["length"].to_pylist() == [{"text": n, "dropped": 0} for n in (3, 0, 1)]


def test_a_slice_of_a_batch_gets_the_lengths_of_its_own_rows():
    found = with_length(of_ids(IDS).slice(1), SINGLE)
    assert [length["text"] for length in found["length"].to_pylist()] == [0, 1]


def test_without_special_tokens_all_of_a_row_is_content():
    found = with_length(of_ids([[], [7], [7, 8]]), BARE)
    assert [length["text"] for length in found["length"].to_pylist()] == [0, 1, 2]


def test_a_length_that_is_there_stays_for_pairs_too():
    batch = of_ids(IDS).append_column("length", pa.array([{"text": 1, "text_pair": 1, "dropped": 4}] * 3))
    assert with_length(batch, PAIR) is batch


def test_pairs_without_their_lengths_are_refused_with_what_to_do():
    with pytest.raises(JobError, match=r"^input_ids: where one text of a pair ends is not known; let Truncate put"):
        with_length(of_ids(IDS), PAIR)


@pytest.mark.parametrize("short", [[], [101]])
def test_a_row_shorter_than_its_special_tokens_is_refused(short):
    with pytest.raises(JobError, match=r"^input_ids: a row is shorter than its 2 special tokens$"):
        with_length(of_ids([*IDS, short]), SINGLE)


def test_rows_of_ids_alone_are_dealt_and_padded_as_rows_that_lost_nothing():
    shape = make_shape(
        facts(model_max_length=8),
        0,
        bucketing=Bucketing(boundaries=(4, 8)),
        batching=Batching(rows=2),
        columns=("input_ids", "attention_mask", "special_tokens_mask", "length"),
    )
    shuffled = random.Random(3).sample(IDS, 3)
    found = {}
    for stem, rows in deal(of_ids(shuffled), shape):
        (group,) = pad_shard([rows], Shard.parse(stem).bucket, shape)
        assert group.dropped.tolist() == [0] * len(group.widths)
        found[Shard.parse(stem).bucket] = sorted(group.columns.to_pylist(), key=lambda row: row["length"])
    assert found == {
        4: [
            {
                "input_ids": [101, 102, 0],
                "attention_mask": [1, 1, 0],
                "special_tokens_mask": [1, 1, 1],
                "length": 2,
            },
            {
                "input_ids": [101, 5, 102],
                "attention_mask": [1, 1, 1],
                "special_tokens_mask": [1, 0, 1],
                "length": 3,
            },
        ],
        8: [
            {
                "input_ids": [101, 7, 8, 9, 102],
                "attention_mask": [1, 1, 1, 1, 1],
                "special_tokens_mask": [1, 0, 0, 0, 1],
                "length": 5,
            },
        ],
    }


def test_hash_takes_keys_of_any_type_large_integers_and_bytes():
    rows = [{"a": 1, 2: "x"}, {"a": {3: 1, "b": 2}}, {"a": 10**5000}, {"a": -(10**5000)}, {"a": b"x"}, {"a": True}]
    assert len({content_hash(row) for row in rows}) == len(rows)


def test_object_without_content_is_refused_as_an_identity():
    with pytest.raises(JobError, match="object has no content that names a row"):
        content_hash({"a": object()})


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (pa.array([[2**40]]), "expected lists of 32-bit integers, got list"),
        (pa.array(["no list"]), "expected lists of 32-bit integers, got string"),
        (pa.array([[1], None]), "a row or an id is null"),
        (pa.array([[1, None]]), "a row or an id is null"),
    ],
)
def test_ids_that_are_no_lists_of_ids_are_refused(ids, message):
    with pytest.raises(JobError, match=f"^input_ids: {message}"):
        with_contents(pa.record_batch({"input_ids": ids}))
