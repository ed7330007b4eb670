"""Ragged arrays: rows of different lengths as one flat array and the offsets that cut it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def offsets_of(lengths: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Adds lengths up to offsets.

    Args:
        lengths: Any integer type, [rows].

    Returns:
        int64 [rows + 1], from 0 to the sum.

    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)  # int64 [rows + 1]
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lists the indices of many spans, one after the other.

    Args:
        starts: First index of each span, int64 [spans].
        lengths: Length of each span, int64 [spans].

    Returns:
        int64 [sum of lengths].

    >>> spans(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    some = np.flatnonzero(lengths)
    if not len(some):
        return np.zeros(0, np.int64)
    if len(some) < len(lengths):
        starts, lengths = starts[some], lengths[some]
    offsets = offsets_of(lengths)
    # Steps of one, and a jump where a span begins: added up, they are the indices.
    index = np.ones(offsets[-1], np.int64)  # int64 [sum of lengths]
    index[0] = starts[0]
    index[offsets[1:-1]] = starts[1:] - starts[:-1] - lengths[:-1] + 1
    return np.cumsum(index, out=index)


class Ragged(NamedTuple):
    """Rows of different lengths.

    Attributes:
        offsets: int64 [rows + 1]; row i is `values[offsets[i]:offsets[i + 1]]`. The first need not be 0.
        values: Any numeric type, [at least offsets[-1]].

    >>> Ragged.of([[1, 2], [], [3]]).take(np.array([2, 0])).tolist()
    [[3], [1, 2]]
    """

    offsets: NDArray[np.int64]
    values: NDArray[Any]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], dtype: type[np.generic] = np.int32) -> Ragged:
        """Builds a ragged array from lists: for tests and small constants.

        Args:
            rows: The rows.
            dtype: Of the values.

        Returns:
            The same rows as a ragged array.
        """
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))  # int64 [rows]
        return cls(offsets_of(lengths), np.array([v for row in rows for v in row], dtype))

    @classmethod
    def from_arrow(cls, array: Any) -> Ragged:
        """Views an Arrow list array; nothing is copied.

        Args:
            array: A `ListArray` without nulls.

        Returns:
            The same rows; the values are a view of the array's buffer, without what lies before and behind them.
        """
        offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)  # int64 [rows + 1]
        values = array.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
        return cls(offsets - offsets[0], values)

    @classmethod
    def concatenate(cls, parts: Sequence[Ragged], dtype: type[np.generic] = np.int32) -> Ragged:
        """Stacks ragged arrays, one's rows after the other's.

        Args:
            parts: Any number of them, none included.
            dtype: Of the values when there is no part to take it from.

        Returns:
            All rows; offsets from 0.
        """
        if not parts:
            return cls(np.zeros(1, np.int64), np.zeros(0, dtype))
        lengths = np.concatenate([part.lengths for part in parts])
        values = np.concatenate([part.values[part.offsets[0] : part.offsets[-1]] for part in parts])
        return cls(offsets_of(lengths), values)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each row, int64 [rows]."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """Gathers rows.

        Args:
            rows: Row numbers, int64 [taken]; any order, repeats allowed.

        Returns:
            The rows asked for; values copied.
        """
        return self.slices(rows, np.zeros(len(rows), np.int64), self.lengths[rows])

    def slices(self, rows: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Ragged:
        """Gathers a slice of each of the given rows.

        Args:
            rows: Row numbers, int64 [taken].
            starts: Where in its row each slice starts, int64 [taken].
            lengths: How long each slice is, int64 [taken]; within its row.

        Returns:
            The slices as rows; values copied.
        """
        return Ragged(offsets_of(lengths), self.values[spans(self.offsets[rows] + starts, lengths)])

    def with_rows(self, rows: NDArray[np.int64], others: Ragged) -> Ragged:
        """Puts other rows in the place of some.

        Args:
            rows: Their numbers, int64 [replaced]; none twice.
            others: What is to stand there.

        Returns:
            All rows; values copied.

        >>> Ragged.of([[1], [2, 3], [4]]).with_rows(np.array([1]), Ragged.of([[5, 6, 7]])).tolist()
        [[1], [5, 6, 7], [4]]
        """
        places = np.arange(self.rows)
        places[rows] = self.rows + np.arange(len(rows))
        return Ragged.concatenate([self, others]).take(places)

    def to_arrow(self) -> Any:
        """Turns the rows into an Arrow list array over the same values.

        Returns:
            A `ListArray` without nulls.
        """
        first, last = self.offsets[0], self.offsets[-1]
        offsets = pa.array((self.offsets - first).astype(np.int32))  # int32 [rows + 1]
        return pa.ListArray.from_arrays(offsets, pa.array(self.values[first:last]))

    def tolist(self) -> list[list[Any]]:
        """Spells the rows out as lists: for tests and messages."""
        return [self.values[a:b].tolist() for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]
