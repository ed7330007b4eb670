"""Reads a corpus for those who only encode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

ROWS = 8_192  # of a slice: many more than are needed to keep all cores busy


class Row(msgspec.Struct):
    """A row of a corpus."""

    id: int
    text: str


def rows(files: Sequence[str], most: int | None = None) -> Iterator[Row]:
    """Reads the rows of JSON Lines files, one after the other, `most` at most."""
    decoder = msgspec.json.Decoder(Row)
    count = 0
    for name in files:
        with Path(name).open("rb") as lines:
            for line in lines:
                if most is not None and count >= most:
                    return
                yield decoder.decode(line)
                count += 1


def slices(files: Sequence[str], most: int | None = None) -> Iterator[tuple[NDArray[np.int64], list[str]]]:
    """Reads texts by the thousand.

    Args:
        files: JSON Lines.
        most: How many rows to read; None: all.

    Yields:
        Their ids, int64 [rows], and the texts.
    """
    held: list[Row] = []
    for row in rows(files, most):
        held.append(row)
        if len(held) == ROWS:
            yield _columns(held)
            held = []
    if held:
        yield _columns(held)


def _columns(held: list[Row]) -> tuple[NDArray[np.int64], list[str]]:
    return np.array([row.id for row in held], np.int64), [row.text for row in held]
