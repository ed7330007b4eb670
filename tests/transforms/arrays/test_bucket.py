"""Buckets, and the batches cut from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.arrays.bucket import ALL, OVER, Batching, Bucketing, Layout, doubling, make_layout
from transforms.arrays.errors import ConfigError
from transforms.arrays.pad import Padding, round_up


def layout(
    boundaries: Any = "doubling", max_length: int | None = 100, truncates: bool = True, notes: Any = None, **batch: Any
) -> Layout:
    padding, cell_bytes = batch.pop("padding", Padding()), batch.pop("cell_bytes", 6)
    return make_layout(
        Bucketing(boundaries=boundaries),
        Batching(**batch),
        padding,
        max_length,
        cell_bytes,
        truncates=truncates,
        notes=notes,
    )


@pytest.mark.parametrize(
    ("max_length", "edges"),
    [
        (512, (32, 64, 128, 256, 512)),
        (100, (32, 64, 100)),
        (64, (32, 64)),
        (33, (32, 33)),
        (32, (32,)),
        (31, (31,)),
        (1, (1,)),
        (None, (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)),
    ],
)
def test_doubling_goes_up_to_the_maximum_and_ends_with_it(max_length, edges):
    assert doubling(max_length) == edges
    assert layout(max_length=max_length, truncates=max_length is not None).edges == edges


def test_edges_belong_to_the_bucket_below_them():
    made = layout((4, 8), 8)
    assert made.bucket_of(np.array([0, 1, 4, 5, 8, 9])).tolist() == [0, 0, 0, 1, 1, 2]
    assert [made.label(k) for k in range(3)] == [4, 8, OVER]
    assert [made.index(label) for label in (4, 8, OVER)] == [0, 1, 2]


def test_without_boundaries_there_is_one_bucket_for_all():
    made = layout((), 8)
    assert made.bucket_of(np.array([0, 5, 10**9])).tolist() == [0, 0, 0]
    assert (made.label(0), made.index(ALL)) == (ALL, 0)


def test_an_edge_is_added_where_rows_are_cut_and_that_is_said():
    notes: list[str] = []
    assert layout((16, 64), 100, notes=notes).edges == (16, 64, 100)
    assert notes == ["bucket.boundaries: 100 is added, where rows are cut"]


@pytest.mark.parametrize(
    ("boundaries", "max_length", "truncates"),
    [((16, 100), 100, True), ((16, 200), 100, True), ((16, 64), 100, False), ((16, 64), None, False), ((), 100, True)],
)
def test_no_edge_is_added_where_none_is_needed(boundaries, max_length, truncates):
    notes: list[str] = []
    assert layout(boundaries, max_length, truncates, notes).edges == boundaries
    assert notes == []


@pytest.mark.parametrize(
    ("boundaries", "max_length", "truncates", "tokens", "rows"),
    [
        ((32, 64), 64, True, 640, (20, 10, 10)),
        ((32, 64), 64, True, 63, (1, 1, 1)),  # a row at least
        ((3,), 3, True, 10, (3, 3)),
        ((), 100, True, 1000, (10,)),  # one bucket without an edge counts with the maximum
        ((32,), 100, False, 1000, (31, 10)),
        ((32, 64), None, False, None, (64, 64, 64)),
    ],
)
def test_rows_of_a_batch_follow_from_a_budget_of_tokens(boundaries, max_length, truncates, tokens, rows):
    assert layout(boundaries, max_length, truncates, tokens=tokens).rows == rows


def test_rows_of_a_batch_are_the_same_in_every_bucket_without_a_budget():
    assert layout((32, 64), 64).rows == (64, 64, 64)
    assert layout((32, 64), 64, rows=5).rows == (5, 5, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boundaries": (32,), "max_length": None, "truncates": False, "tokens": 99}, r"^batch\.tokens: .*max_length"),
        ({"boundaries": (), "max_length": None, "truncates": False, "tokens": 99}, r"^batch\.tokens: "),
        ({"boundaries": (), "padding": Padding(to="bucket")}, r"^pad\.to: bucket needs bucket\.boundaries"),
        ({"boundaries": (8, 8)}, r"^bucket\.boundaries: \[8, 8\] must rise from at least 1, but 8 follows 8$"),
        ({"boundaries": (8, 4)}, r"^bucket\.boundaries: \[8, 4\] must rise .* 4 follows 8$"),
        ({"boundaries": (0,)}, r"^bucket\.boundaries: \[0\] must rise from at least 1, but 0 follows 0$"),
        ({"boundaries": "double"}, r"^bucket\.boundaries: 'double' is not known"),
        ({"rows": 4, "tokens": 4}, r"^batch\.tokens: given beside batch\.rows"),
        ({"rows": 0}, r"^batch\.rows: 0 is too small"),
        ({"tokens": 0}, r"^batch\.tokens: 0 is too small"),
        ({"max_bytes": 0}, r"^batch\.max_bytes: 0 is too small"),
        (
            {"boundaries": (64,), "max_length": 64, "rows": 10, "padding": Padding(to="bucket"), "max_bytes": 3839},
            r"^batch\.max_bytes: a batch of 10 rows padded to 64 takes 3840 bytes, more than 3839; ",
        ),
        (
            {"boundaries": (), "rows": 10, "padding": Padding(to="max_length", length=64), "max_bytes": 3839},
            r"^batch\.max_bytes: a batch of 10 rows padded to 64 takes 3840 bytes, more than 3839; ",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_any_row(options, message):
    with pytest.raises(ConfigError, match=message):
        layout(**options)


def test_a_batch_that_just_fits_is_taken():
    made = layout((64,), 64, rows=10, padding=Padding(to="bucket"), max_bytes=3840)
    assert made.fits(np.array([1, 64])).tolist() == [True, True]


@pytest.mark.parametrize(
    ("padding", "lengths", "widths"),
    [
        (Padding(), [3, 5, 2, 1, 7], [5, 5, 2, 2, 7]),
        (Padding(multiple_of=4), [3, 5, 2, 1, 7], [8, 8, 4, 4, 8]),
        (Padding(to=False, multiple_of=4), [3, 5, 2], [3, 5, 2]),
        (Padding(to="bucket"), [3, 5], [16, 16]),
        (Padding(to="bucket", multiple_of=5), [3, 5], [20, 20]),
        (Padding(to="max_length", length=6), [3, 5, 7], [6, 6, 7]),
        (Padding(), [], []),
        (Padding(to=False), [0], [0]),
    ],
)
def test_rows_of_a_batch_share_the_width_that_padding_asks_for(padding, lengths, widths):
    made = layout((16,), 16, rows=2, padding=padding)
    assert made.widths(np.array(lengths, np.int64), 0).tolist() == widths


def test_a_batch_of_more_rows_than_there_are_takes_no_more_memory():
    made = layout((), 100, rows=10**12)
    assert made.widths(np.array([3, 5]), 0).tolist() == [5, 5]


def test_rows_above_the_last_edge_are_padded_to_the_longest_of_their_batch():
    made = layout((4,), None, truncates=False, rows=2, padding=Padding(to="bucket"))
    assert made.target(0) == 4
    assert made.target(1) is None
    assert made.widths(np.array([9, 5, 7]), 1).tolist() == [9, 9, 7]


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=40),
    st.sampled_from([(), (8,), (4, 16), (4, 16, 64)]),
    st.sampled_from(["longest", "bucket", "max_length", "do_not_pad"]),
    st.sampled_from([None, 3, 8]),
    st.integers(1, 5),
    st.integers(50, 900),
)
@settings(max_examples=150, deadline=None)
def test_a_batch_of_rows_that_fit_never_exceeds_its_bytes(lengths, boundaries, to, multiple_of, rows, max_bytes):
    padding = Padding(to=to, length=10 if to == "max_length" else None, multiple_of=multiple_of)
    if to == "bucket" and not boundaries:
        return
    made = Layout(boundaries, (rows,) * (len(boundaries) + 1), padding, 6, max_bytes)
    array = np.array(lengths)
    kept = array[made.fits(array)]
    for bucket in range(len(made.rows)):
        of_bucket = kept[made.bucket_of(kept) == bucket]
        widths = made.widths(of_bucket, bucket)
        assert (widths >= of_bucket).all()
        for start in range(0, len(widths), rows):
            assert 6 * widths[start : start + rows].sum() <= max_bytes
            if to != "do_not_pad" and (of_bucket <= (made.target(bucket) or 10**9)).all():
                assert len(set(widths[start : start + rows].tolist())) == 1
    # and no row is refused that would fit with others like it
    for length in array[~made.fits(array)].tolist():
        target = made.target(int(made.bucket_of(np.array([length]))[0]))
        wide = max(length, target or 0) if target or not padding.pads else round_up(length, multiple_of)
        assert 6 * rows * wide > max_bytes


def test_where_no_column_has_cells_rows_still_fit():
    made = layout((8,), 8, cell_bytes=0)
    assert made.fits(np.array([1, 8])).tolist() == [True, True]
