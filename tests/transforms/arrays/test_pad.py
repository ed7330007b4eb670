"""Padding, against a plain implementation that goes row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.arrays.errors import ConfigError
from transforms.arrays.pad import COLUMNS, Padding, PadValues, pad_columns, round_up, target_length
from transforms.arrays.ragged import Ragged
from transforms.arrays.template import Piece, Slices, Template

BERT = Template((Piece(101, None, 0), Piece(None, 0, 0), Piece(102, None, 0), Piece(None, 1, 1), Piece(102, None, 1)))


def plain(sizes: list[tuple[int, int]], widths: list[int], values: PadValues) -> dict[str, list[list[int]]]:
    """Pads rows of BERT's template one by one."""
    rows: dict[str, list[list[int]]] = {column: [] for column in COLUMNS}
    for (first, second), width in zip(sizes, widths, strict=True):
        ids = [101, *range(first), 102, *range(1000, 1000 + second), 102]
        row = {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "token_type_ids": [0] * (first + 2) + [1] * (second + 1),
            "special_tokens_mask": [1] + [0] * first + [1] + [0] * second + [1],
        }
        fill = {
            "input_ids": values.input_ids,
            "attention_mask": 0,
            "token_type_ids": values.token_type_ids,
            "special_tokens_mask": 1,
        }
        for column, cells in row.items():
            padding = [fill[column]] * (width - len(ids))
            rows[column].append(padding + cells if values.side == "left" else cells + padding)
    return rows


def ours(
    sizes: list[tuple[int, int]], widths: list[int], values: PadValues, columns: tuple[str, ...] = tuple(COLUMNS)
) -> dict[str, Ragged]:
    contents = [Ragged.of([range(start, start + size[k]) for size in sizes]) for k, start in ((0, 0), (1, 1000))]
    ids = BERT.assemble([Slices.whole(content) for content in contents])
    lengths = tuple(content.lengths for content in contents)
    return pad_columns(ids, lengths, np.array(widths, np.int64), BERT, values, columns)


@given(
    st.lists(st.tuples(st.tuples(st.integers(0, 6), st.integers(0, 6)), st.integers(0, 5)), max_size=8),
    st.integers(0, 50256),
    st.integers(0, 3),
    st.sampled_from(["right", "left"]),
)
@settings(max_examples=100, deadline=None)
def test_every_column_is_padded_as_row_by_row(rows, pad_id, pad_type, side):
    sizes = [size for size, _ in rows]
    widths = [sum(size) + 3 + more for size, more in rows]
    values = PadValues(pad_id, pad_type, side)
    padded = ours(sizes, widths, values)
    assert {column: cells.tolist() for column, cells in padded.items()} == plain(sizes, widths, values)
    assert [cells.values.dtype for cells in padded.values()] == [np.int32, np.int8, np.int8, np.int8]


@pytest.mark.parametrize("column", COLUMNS)
def test_only_the_columns_asked_for_are_built(column):
    assert list(ours([(1, 2)], [8], PadValues(0), (column,))) == [column]
    assert ours([(1, 2)], [8], PadValues(0), ()) == {}


@pytest.mark.parametrize(
    ("side", "ids", "mask"),
    [
        ("right", [101, 0, 102, 102, 7, 7], [1, 1, 1, 1, 0, 0]),
        ("left", [7, 7, 101, 0, 102, 102], [0, 0, 1, 1, 1, 1]),
    ],
)
def test_padding_goes_on_the_side_asked_for(side, ids, mask):
    padded = ours([(1, 0)], [6], PadValues(7, 0, side))
    assert padded["input_ids"].tolist() == [ids]
    assert padded["attention_mask"].tolist() == [mask]


def test_a_pad_id_that_also_stands_in_the_text_is_real_there():
    padded = ours([(2, 0)], [7], PadValues(1))  # the content's second token has the pad's id
    assert padded["input_ids"].tolist() == [[101, 0, 1, 102, 102, 1, 1]]
    assert padded["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0, 0]]


def test_rows_that_start_anywhere_in_their_values_are_padded_alike():
    rows = Ragged.of([[9, 9, 9], [5, 6], [7]])
    part = Ragged(rows.offsets[1:], rows.values)
    one = Template((Piece(None, 0, 0),))
    padded = pad_columns(part, (part.lengths,), np.array([3, 3]), one, PadValues(0), tuple(COLUMNS))
    assert padded["input_ids"].tolist() == [[5, 6, 0], [7, 0, 0]]
    assert padded["special_tokens_mask"].tolist() == [[0, 0, 1], [0, 1, 1]]


def test_no_rows_are_padded_to_no_rows():
    assert {c: r.tolist() for c, r in ours([], [], PadValues(0)).items()} == {column: [] for column in COLUMNS}


@pytest.mark.parametrize(
    ("length", "multiple", "rounded"),
    [(0, 8, 0), (1, 8, 8), (8, 8, 8), (9, 8, 16), (129, 8, 136), (5, 1, 5), (5, None, 5), (5, 64, 64)],
)
def test_lengths_are_rounded_up_to_a_multiple(length, multiple, rounded):
    assert round_up(length, multiple) == rounded
    assert round_up(np.array([length, length]), multiple).tolist() == [rounded, rounded]


@pytest.mark.parametrize(
    ("padding", "edge", "target"),
    [
        ({"to": "longest"}, 64, None),
        ({"to": True}, 64, None),
        ({"to": False, "length": 10}, 64, None),
        ({"to": "bucket"}, 64, 64),
        ({"to": "bucket", "multiple_of": 48}, 64, 96),
        ({"to": "bucket"}, None, None),
        ({"to": "max_length", "length": 100}, 64, 100),
        ({"to": "max_length", "length": 100, "multiple_of": 8}, None, 104),
    ],
)
def test_the_width_of_a_bucket_is_fixed_or_depends_on_its_rows(padding, edge, target):
    assert target_length(Padding(**padding), edge) == target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "max"}, r"^pad\.to: 'max' is not known; did you mean max_length\?|one of"),
        ({"length": 0}, r"^pad\.length: 0 is too small; it must be at least 1$"),
        ({"multiple_of": 0}, r"^pad\.multiple_of: 0 is too small"),
        ({"side": "both"}, r"^pad\.side: 'both' is not known"),
    ],
)
def test_values_that_no_tokenizer_could_work_with_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Padding(**options)


@pytest.mark.parametrize(
    ("to", "name", "pads"),
    [
        (True, "longest", True),
        (False, "do_not_pad", False),
        ("bucket", "bucket", True),
        ("do_not_pad", "do_not_pad", False),
    ],
)
def test_true_and_false_are_targets_as_in_transformers(to: Any, name: str, pads: bool):
    assert (Padding(to=to).name, Padding(to=to).pads) == (name, pads)
