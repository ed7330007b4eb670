"""A number for each row, so that outputs in any order and any format can be compared row by row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.words import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "digests.npz"


def digests_of(tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Gives each row a number that depends on all of its ids, their order and how many they are.

    Args:
        tokens: The ids of all rows, without padding, int64 [tokens].
        lengths: Tokens of each row, int64 [rows].

    Returns:
        uint64 [rows].

    >>> a, b, c = digests_of(np.array([5, 6, 6, 5, 5, 6]), np.array([2, 2, 2]))
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    starts = np.cumsum(lengths) - lengths
    place = np.arange(len(tokens)) - np.repeat(starts, lengths)
    mixed = mix((tokens.astype(np.uint64) << np.uint64(32)) + place.astype(np.uint64) + np.uint64(1))
    sums = np.append(np.uint64(0), np.cumsum(mixed, dtype=np.uint64))  # wraps, and differences wrap back
    row = sums[starts + lengths] - sums[starts]
    return mix(row + lengths.astype(np.uint64))


@dataclass(frozen=True)
class Summary:
    """What an output holds, as far as it is compared.

    Attributes:
        ids: Of its rows, rising, int64 [rows].
        digests: Of its rows, uint64 [rows].
        lengths: Tokens of its rows, int64 [rows].
        cells: Tokens and padding; 0 where nothing is padded.
    """

    ids: NDArray[np.int64]
    digests: NDArray[np.uint64]
    lengths: NDArray[np.int64]
    cells: int = 0

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """Tokens of all rows, without padding."""
        return int(self.lengths.sum())


class Digests:
    """Collects rows in any order."""

    def __init__(self) -> None:
        self._ids: list[NDArray[np.int64]] = []
        self._digests: list[NDArray[np.uint64]] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._cells = 0

    def add(
        self, ids: NDArray[np.int64], tokens: NDArray[np.int64], lengths: NDArray[np.int64], cells: int = 0
    ) -> None:
        """Adds rows.

        Args:
            ids: int64 [rows].
            tokens: Their ids without padding, int64 [tokens].
            lengths: Tokens of each row, int64 [rows].
            cells: Tokens and padding.
        """
        self._ids.append(ids)
        self._digests.append(digests_of(tokens, lengths))
        self._lengths.append(lengths)
        self._cells += cells

    def summary(self) -> Summary:
        """The rows by rising id."""
        if not self._ids:
            return Summary(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.int64))
        ids = np.concatenate(self._ids)
        order = np.argsort(ids, kind="stable")
        return Summary(
            ids[order], np.concatenate(self._digests)[order], np.concatenate(self._lengths)[order], self._cells
        )

    def save(self, folder: str) -> None:
        """Writes the rows to a file in a folder, for those who have no output but this."""
        found = self.summary()
        np.savez(Path(folder) / FILE, ids=found.ids, digests=found.digests, lengths=found.lengths)


def load(folder: Path) -> Summary:
    """Reads what `Digests.save` wrote."""
    with np.load(folder / FILE) as file:
        return Summary(file["ids"], file["digests"], file["lengths"])
