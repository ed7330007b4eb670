"""Ragged arrays, against lists of lists."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.arrays.ragged import Ragged, offsets_of, spans

LISTS = st.lists(st.lists(st.integers(-5, 5), max_size=6), max_size=8)

quick = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize(("lengths", "offsets"), [([], [0]), ([0], [0, 0]), ([3], [0, 3]), ([2, 0, 3], [0, 2, 2, 5])])
def test_offsets_add_lengths_up_from_zero(lengths, offsets):
    found = offsets_of(np.array(lengths, np.int32))
    assert found.tolist() == offsets
    assert found.dtype == np.int64


def test_offsets_of_many_small_lengths_do_not_overflow_their_type():
    assert offsets_of(np.full(1000, 127, np.int8))[-1] == 127_000


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=8))
@quick
def test_spans_list_every_index_of_every_span(pairs):
    starts, lengths = np.array([a for a, _ in pairs], np.int64), np.array([n for _, n in pairs], np.int64)
    assert spans(starts, lengths).tolist() == [i for a, n in pairs for i in range(a, a + n)]


@given(LISTS)
@quick
def test_rows_survive_a_round_trip_through_arrow(rows):
    ragged = Ragged.of(rows)
    assert ragged.tolist() == rows
    assert ragged.rows == len(rows)
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    arrow = ragged.to_arrow()
    assert arrow.type == pa.list_(pa.int32())
    assert arrow.to_pylist() == rows
    assert Ragged.from_arrow(arrow).tolist() == rows


@given(LISTS, st.integers(0, 8), st.integers(0, 8))
@quick
def test_a_slice_of_an_arrow_array_is_viewed_as_that_slice(rows, start, length):
    part = pa.array(rows, pa.list_(pa.int32())).slice(min(start, len(rows)), length)
    viewed = Ragged.from_arrow(part)
    assert viewed.tolist() == part.to_pylist()
    assert viewed.to_arrow().equals(part)
    assert Ragged.concatenate([viewed, viewed]).tolist() == part.to_pylist() * 2


def test_viewing_an_arrow_array_copies_nothing():
    array = pa.array([[1, 2], [3]], pa.list_(pa.int32()))
    viewed = Ragged.from_arrow(array)
    assert viewed.values.ctypes.data == array.values.buffers()[1].address


@given(LISTS.filter(len), st.data())
@quick
def test_rows_are_taken_in_any_order_and_more_than_once(rows, data):
    taken = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    assert Ragged.of(rows).take(np.array(taken, np.int64)).tolist() == [rows[i] for i in taken]


@given(LISTS.filter(len), st.data())
@quick
def test_slices_of_rows_are_those_of_lists(rows, data):
    wanted = []
    for i in data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10)):
        start = data.draw(st.integers(0, len(rows[i])))
        wanted.append((i, start, data.draw(st.integers(0, len(rows[i]) - start))))
    index, starts, lengths = (np.array([w[k] for w in wanted], np.int64) for k in range(3))
    assert Ragged.of(rows).slices(index, starts, lengths).tolist() == [rows[i][a : a + n] for i, a, n in wanted]


@given(st.lists(LISTS, max_size=4))
@quick
def test_concatenating_stacks_rows(parts):
    stacked = Ragged.concatenate([Ragged.of(part) for part in parts])
    assert stacked.tolist() == list(chain.from_iterable(parts))
    assert stacked.offsets[0] == 0


def test_concatenating_nothing_gives_no_rows_of_the_type_asked_for():
    empty = Ragged.concatenate([], np.int8)
    assert (empty.rows, empty.values.dtype) == (0, np.int8)
    assert Ragged.of([]).to_arrow().to_pylist() == []


def test_rows_that_are_put_in_the_place_of_others_leave_the_rest_alone():
    rows = Ragged.of([[1], [], [2, 3], [4]])
    assert rows.with_rows(np.array([3, 0]), Ragged.of([[7, 8], []])).tolist() == [[], [], [2, 3], [7, 8]]
    assert rows.with_rows(np.array([], np.int64), Ragged.of([])).tolist() == rows.tolist()
