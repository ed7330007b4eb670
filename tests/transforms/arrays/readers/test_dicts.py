"""Rows that come as dicts: columns, identities that are hashes, and dead letters."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.arrays.adopt import content_hash
from transforms.arrays.readers import Columns
from transforms.arrays.readers.dicts import read_dicts

KEPT = {
    "label": pa.int64(),
    "small": pa.int32(),
    "score": pa.float64(),
    "easy": pa.bool_(),
    "name": pa.string(),
}

TEXT = Columns(("text",), KEPT)


def test_dicts_become_rows_in_their_order_with_the_columns_that_are_asked_for():
    dicts = [
        {"text": "a", "label": 2**63 - 1, "small": -1, "score": 0.5, "easy": True, "name": "é", "more": object},
        {"name": None, "text": ""},
        {"text": "a\0漢", "score": 3},
    ]
    found = read_dicts(dicts, TEXT)
    assert found.batch.schema.names == ["row_id", "text", *KEPT]
    assert found.batch.schema.types[1:] == [pa.string(), *KEPT.values()]
    nothing = dict.fromkeys(KEPT)
    assert found.batch.drop_columns(["row_id"]).to_pylist() == [
        {"text": "a", "label": 2**63 - 1, "small": -1, "score": 0.5, "easy": True, "name": "é"},
        nothing | {"text": ""},
        nothing | {"text": "a\0漢", "score": 3.0},
    ]
    assert (found.read, found.dead.num_rows, found.dropped_empty) == (3, 0, 0)


@given(st.lists(st.dictionaries(st.sampled_from(["text", "x", "y"]), st.text("ab", max_size=2)), max_size=8))
def test_identity_is_the_hash_of_the_whole_dict_and_every_dict_is_accounted_for(dicts):
    found = read_dicts(dicts, Columns(("text",), {}))
    ids = [content_hash(row) for row in dicts if "text" in row]
    assert found.batch["row_id"].to_pylist() == [{"file": "", "position": number, "window": 0} for number in ids]
    assert found.dead["position"].to_pylist() == [content_hash(row) for row in dicts if "text" not in row]
    assert found.read == len(dicts)


@pytest.mark.parametrize(
    ("row", "reason", "says"),
    [
        ({}, "missing_column", "no 'text'"),
        ({"txt": "a", "label": 1}, "missing_column", "no 'text'; it has 'txt', 'label'"),
        ({"text": None}, "null_text", "text is null"),
        ({"text": 7}, "wrong_type", "Expected `str`, got `int` - at `$.text`"),
        ({"text": b"a"}, "wrong_type", "Expected `str`, got `bytes` - at `$.text`"),
        ({"text": "a", "label": "7"}, "wrong_type", "Expected `int | null`, got `str` - at `$.label`"),
        ({"text": "a", "label": 7.0}, "wrong_type", "Expected `int | null`, got `float` - at `$.label`"),
        ({"text": "a", "label": True}, "wrong_type", "Expected `int | null`, got `bool` - at `$.label`"),
        ({"text": "a", "label": 2**63}, "wrong_type", "Expected `int` <= 9223372036854775807 - at `$.label`"),
        ({"text": "a", "small": 2**31}, "wrong_type", "Expected `int` <= 2147483647 - at `$.small`"),
        ({"text": "a", "easy": 1}, "wrong_type", "Expected `bool | null`, got `int` - at `$.easy`"),
        ({"text": "a", "score": float("inf")}, "wrong_type", "at `$.score`"),
    ],
)
def test_dict_that_cannot_be_used_is_a_dead_letter_with_its_content(row, reason, says):
    found = read_dicts([{"text": "before"}, row, {"text": "behind"}], TEXT)
    assert found.batch["text"].to_pylist() == ["before", "behind"]
    (letter,) = found.dead.to_pylist()
    assert (letter["reason"], letter["file"], letter["position"]) == (reason, "", content_hash(row))
    assert says in letter["message"]
    spelled = {name: str(value) if isinstance(value, bytes) else value for name, value in row.items()}
    assert json.loads(letter["raw"]) == spelled
    assert found.read == 3


def test_both_texts_of_a_pair_must_be_there():
    found = read_dicts([{"a": "x", "b": "y"}, {"a": "x"}, {"a": None, "b": "y"}], Columns(("a", "b"), {}))
    assert found.batch.select(["a", "b"]).to_pylist() == [{"a": "x", "b": "y"}]
    assert found.dead["reason"].to_pylist() == ["missing_column", "null_text"]


@pytest.mark.parametrize(
    ("empty", "texts", "reasons", "dropped"),
    [("keep", ["", "a"], [], 0), ("drop", ["a"], [], 1), ("dead_letter", ["a"], ["empty_text"], 0)],
)
def test_empty_texts_go_where_they_are_asked_to(empty, texts, reasons, dropped):
    found = read_dicts([{"text": ""}, {"text": "a"}], Columns(("text",), {}, empty))
    assert found.batch["text"].to_pylist() == texts
    assert (found.dead["reason"].to_pylist(), found.dropped_empty, found.read) == (reasons, dropped, 2)


def test_no_dicts_give_no_rows_of_the_same_columns():
    found = read_dicts([], TEXT)
    assert (found.read, found.batch.num_rows, found.dead.num_rows) == (0, 0, 0)
    assert found.batch.schema == read_dicts([{"text": "a"}], TEXT).batch.schema


@pytest.mark.parametrize("row", [{"text": "\ud800"}, {"text": "a", "k": "\udc80b"}])
def test_half_a_surrogate_pair_is_a_dead_letter(row):
    found = read_dicts([{"text": "good", "k": "é"}, row], Columns(("text",), {"k": pa.string()}))
    assert found.batch["text"].to_pylist() == ["good"]
    assert found.dead["reason"].to_pylist() == ["bad_encoding"]


def test_keys_that_are_no_strings_do_no_harm():
    found = read_dicts([{"text": "a", 1: 2}, {1: 2}], Columns(("text",), {}))
    assert found.batch["text"].to_pylist() == ["a"]
    assert found.dead["reason"].to_pylist() == ["missing_column"]
