"""UTF-8: characters beyond ASCII read off their bytes, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def code_points(data: NDArray[np.uint8], lead: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    r"""Decodes characters beyond ASCII.

    Args:
        data: UTF-8, uint8 [bytes].
        lead: Where the characters begin, int64 [characters].

    Returns:
        The code point of each, and how many bytes it takes, int64 [characters] each.

    >>> code_points(np.frombuffer("\u00e9 \u4e2d \U0001f600".encode(), np.uint8), np.array([0, 3, 7]))
    (array([   233,  20013, 128512]), array([2, 3, 4]))
    """
    first = data[lead].astype(np.int64)
    size: NDArray[np.int64] = 2 + (first >= 0xE0) + (first >= 0xF0)  # int64 [characters]
    point = first & np.where(size == 2, 0x1F, np.where(size == 3, 0x0F, 0x07))
    for k in range(1, 4):
        following = data[np.minimum(lead + k, len(data) - 1)].astype(np.int64) & 0x3F
        point = np.where(size > k, point << 6 | following, point)
    return point, size
