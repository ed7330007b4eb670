"""Numbers of rows tell rows apart, and nothing else matters to them."""

from __future__ import annotations

import numpy as np

from benchmarks.digests import Digests, digests_of, load


def one(*row):
    return int(digests_of(np.array(row, np.int64), np.array([len(row)]))[0])


def test_rows_that_differ_in_anything_differ():
    rows = [(), (0,), (0, 0), (1,), (1, 2), (2, 1), (1, 2, 0), (1, 1, 2), (3, 0), (0, 3)]
    assert len({one(*row) for row in rows}) == len(rows)


def test_a_row_is_the_same_wherever_it_stands():
    tokens, lengths = np.array([9, 9, 4, 5, 4, 5]), np.array([2, 0, 2, 0, 2])
    assert digests_of(tokens, lengths).tolist() == [one(9, 9), one(), one(4, 5), one(), one(4, 5)]


def test_hundred_thousand_rows_have_as_many_numbers():
    tokens = np.arange(200_000) // 2 * np.tile([1, 0], 100_000)  # (k, 0) for each k
    assert len(set(digests_of(tokens, np.full(100_000, 2)).tolist())) == 100_000


def test_rows_come_back_by_id_from_a_file(tmp_path):
    digests = Digests()
    digests.add(np.array([2, 0]), np.array([7, 8, 9]), np.array([2, 1]), cells=8)
    digests.add(np.array([1]), np.array([5]), np.array([1]), cells=4)
    found = digests.summary()
    assert (found.ids.tolist(), found.lengths.tolist(), found.cells) == ([0, 1, 2], [1, 1, 2], 12)
    assert found.digests.tolist() == [one(9), one(5), one(7, 8)]
    digests.save(str(tmp_path))
    assert load(tmp_path).digests.tolist() == found.digests.tolist()


def test_no_rows_are_no_error():
    assert Digests().summary().rows == 0
