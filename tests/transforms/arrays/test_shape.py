"""The shape of a job: what is decided before a row is seen."""

from __future__ import annotations

import numpy as np
import pytest

from tests.transforms.arrays.facts import PAIR, SINGLE, facts
from transforms.arrays.bucket import Batching
from transforms.arrays.errors import ConfigError
from transforms.arrays.pad import Padding
from transforms.arrays.shape import make_shape
from transforms.arrays.truncate import Truncation


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
