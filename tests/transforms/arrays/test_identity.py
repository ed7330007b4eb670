"""Row identities, and the order, shard and split that follow from them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.arrays.identity import (
    ORDER,
    ROW_ID,
    SHARD,
    SPLIT,
    choose_split,
    escape_path,
    keys,
    order,
    row_id_strings,
    row_ids,
    sort_rows,
)

FILES = pa.array(["a.jsonl", "b/c.jsonl", "b/c.jsonl"]).dictionary_encode()
GOLDEN = row_ids(FILES, np.array([0, 17, 2**40]), np.array([0, 1, 3], np.int32))


@pytest.mark.parametrize(
    ("use", "seed", "expected"),
    [
        (ORDER, 0, [14067270549703172428, 14123742416736914072, 16388578833252086071]),
        (SHARD, 0, [279318998633443528, 3642220809816513167, 13449202276967921481]),
        (SPLIT, 0, [13619277182636551009, 5946860883611332933, 340502811362980923]),
        (ORDER, 7, [1617455105025457246, 1937238010937674495, 15324936529389596923]),
        (ORDER, -1, [4399031508724352764, 13202145773465678302, 11754486871038430171]),
    ],
)
def test_keys_never_change_from_one_release_to_the_next(use, seed, expected):
    assert keys(GOLDEN, seed, use).tolist() == expected


def test_order_and_splits_never_change_either():
    many = row_ids("corpus/a.txt", np.arange(10) * 100)
    assert order(many, 0).tolist() == [9, 2, 3, 1, 6, 5, 4, 8, 0, 7]
    assert choose_split(many, 0, (0.5, 0.5)).tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 1]


def test_no_rows_have_no_keys_and_no_order():
    none = row_ids("a", np.zeros(0, np.int64))
    assert none.type == ROW_ID
    assert keys(none, 0, ORDER).tolist() == order(none, 0).tolist() == choose_split(none, 0, (1.0,)).tolist() == []
    assert row_id_strings(none, windows=True).to_pylist() == []


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "sub/c"]), st.integers(0, 2**40), st.integers(0, 3)),
    unique=True,
    min_size=1,
    max_size=30,
)


def _made(rows):
    files = pa.array([f for f, _, _ in rows]).dictionary_encode()
    return row_ids(files, np.array([p for _, p, _ in rows]), np.array([w for _, _, w in rows], np.int32))


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_order_shard_and_split_do_not_depend_on_how_rows_are_divided(rows, random, seed):
    together = _made(rows)
    of = {}
    shuffled = random.sample(rows, len(rows))
    cut = random.randint(0, len(rows))
    for part in (shuffled[:cut], shuffled[cut:]):
        if part:
            made = _made([("padding", 5, 0), *part]).slice(1)  # another dictionary, and an offset
            answers = zip(
                keys(made, seed, ORDER).tolist(),
                keys(made, seed, SHARD).tolist(),
                choose_split(made, seed, (0.3, 0.7)).tolist(),
                strict=True,
            )
            of |= dict(zip(part, answers, strict=True))
    assert keys(together, seed, ORDER).tolist() == [of[row][0] for row in rows]
    assert keys(together, seed, SHARD).tolist() == [of[row][1] for row in rows]
    assert choose_split(together, seed, (0.3, 0.7)).tolist() == [of[row][2] for row in rows]
    again = _made(shuffled)
    assert [rows[i] for i in order(together, seed)] == [shuffled[i] for i in order(again, seed)]


def test_rows_of_equal_hash_are_ordered_by_file_then_position_then_window():
    rows = [("b", 0, 0), ("a", 9, 0), ("a", 2, 1), ("a", 2, 0), ("a", 10, 0)]
    assert [rows[i] for i in sort_rows(np.zeros(len(rows), np.uint64), _made(rows))] == sorted(rows)


def test_rows_of_another_seed_come_in_another_order():
    many = row_ids("a", np.arange(100))
    first, second = order(many, 0), order(many, 1)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first.tolist() != second.tolist()
    assert first.tolist() != list(range(100))


@pytest.mark.parametrize("shards", [2, 7, 16])
@pytest.mark.parametrize("step", [1, 512])
def test_shards_are_evenly_filled_whatever_the_positions(shards, step):
    rows = 20_000
    counts = np.bincount((keys(row_ids("a", np.arange(rows) * step), 0, SHARD) % np.uint64(shards)).astype(int))
    assert len(counts) == shards
    assert np.abs(counts - rows / shards).max() < 5 * np.sqrt(rows / shards)


@pytest.mark.parametrize("fractions", [(0.98, 0.02), (0.1, 0.2, 0.7), (1.0,), (0.5, 0.0, 0.5)])
def test_splits_get_the_shares_asked_for(fractions):
    rows = 20_000
    counts = np.bincount(choose_split(row_ids("a", np.arange(rows)), 3, fractions), minlength=len(fractions))
    wanted = rows * np.array(fractions)
    assert len(counts) == len(fractions)
    assert (np.abs(counts - wanted) <= 5 * np.sqrt(wanted)).all()  # none at all where the share is 0


def test_all_windows_of_a_row_go_to_the_same_split_and_to_shards_of_their_own():
    positions, windows = np.repeat(np.arange(200), 5), np.tile(np.arange(5, dtype=np.int32), 200)
    made = row_ids("a", positions, windows)
    splits = choose_split(made, 0, (0.5, 0.5)).reshape(200, 5)
    assert (splits == splits[:, :1]).all()
    assert set(splits[:, 0]) == {0, 1}
    assert len(set(keys(made, 0, SHARD).tolist())) == 1000


def test_order_shard_and_split_are_independent():
    made = row_ids("a", np.arange(4000))
    halves = [(keys(made, 0, use) >> np.uint64(63)).astype(float) for use in (ORDER, SHARD, SPLIT)]
    correlation = np.corrcoef(halves)
    assert np.abs(correlation - np.eye(3)).max() < 0.08


@pytest.mark.parametrize(
    ("path", "windows", "spelled"),
    [
        ("a.txt", False, "a.txt#12"),
        ("a.txt", True, "a.txt#12#3"),
        ("c#.txt", False, "c%23.txt#12"),
        ("100%.txt", True, "100%25.txt#12#3"),
        ("%23", False, "%2523#12"),
        ("sub/ä b.txt", False, "sub/ä b.txt#12"),
    ],
)
def test_ids_are_spelled_as_path_position_and_window(path, windows, spelled):
    made = row_ids(path, np.array([12]), np.array([3], np.int32))
    assert row_id_strings(made, windows=windows).to_pylist() == [spelled]


@given(st.lists(st.text("ab#%23", max_size=6), unique=True, min_size=1))
@settings(max_examples=60, deadline=None)
def test_different_paths_are_never_spelled_alike(paths):
    assert len({escape_path(path) for path in paths}) == len(paths)
    assert not any("#" in escape_path(path) for path in paths)


def test_ids_of_a_slice_are_those_of_its_rows():
    assert row_id_strings(GOLDEN.slice(1), windows=True).to_pylist() == ["b/c.jsonl#17#1", f"b/c.jsonl#{2**40}#3"]
