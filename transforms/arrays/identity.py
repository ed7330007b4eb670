"""Row identity: where a row came from, and the seeded order, shard and split that follow from it.

All three are hashes of (path, position, window), so they depend on neither the runner nor the number of
workers nor the way the inputs were divided.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# One constant for each use of the hash, so that order, shard and split are independent.
ORDER, SHARD, SPLIT = 1, 2, 3

ROW_ID_FIELDS = [
    pa.field("file", pa.dictionary(pa.int32(), pa.string()), nullable=False),
    pa.field("position", pa.int64(), nullable=False),
    pa.field("window", pa.int32(), nullable=False),
]
ROW_ID = pa.struct(ROW_ID_FIELDS)


def row_ids(file: Any, positions: NDArray[np.int64], windows: NDArray[np.int32] | None = None) -> Any:
    """Builds the identity column of rows.

    Args:
        file: The path relative to the root: a string for all rows, or a dictionary array [rows].
        positions: The row's place in its file, int64 [rows].
        windows: The window's number, int32 [rows]; None for 0 everywhere.

    Returns:
        A struct array of type `ROW_ID`, [rows].
    """
    rows = len(positions)
    if isinstance(file, str):
        file = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([file], pa.string()))
    if windows is None:
        windows = np.zeros(rows, np.int32)
    return pa.StructArray.from_arrays([file, pa.array(positions), pa.array(windows)], fields=ROW_ID_FIELDS)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scrambles 64 bits. Source: the finalizer of splitmix64 (Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def keys(row_id: Any, seed: int, use: int) -> NDArray[np.uint64]:
    """Hashes row identities.

    Args:
        row_id: A struct array of type `ROW_ID`, [rows].
        seed: `run.seed`.
        use: `ORDER`, `SHARD` or `SPLIT`; the last leaves the window out.

    Returns:
        uint64 [rows], evenly spread.
    """
    file, position, window = row_id.flatten()
    paths = np.array(
        [int.from_bytes(blake2b(p.encode(), digest_size=8).digest(), "little") for p in file.dictionary.to_pylist()],
        np.uint64,
    )  # uint64 [files]
    start = _mix(np.array([(seed * 0x9E3779B97F4A7C15 + use) % 2**64], np.uint64))
    hashed = _mix(paths[file.indices.to_numpy()] ^ start)
    hashed = _mix(hashed + position.to_numpy().astype(np.uint64))
    if use == SPLIT:
        return hashed
    return _mix(hashed + window.to_numpy().astype(np.uint64))


def order(row_id: Any, seed: int) -> NDArray[np.int64]:
    """Sorts rows by the seeded hash of their identity, ties by the identity itself.

    Args:
        row_id: A struct array of type `ROW_ID`, [rows].
        seed: `run.seed`.

    Returns:
        Row numbers in their final order, int64 [rows].
    """
    return sort_rows(keys(row_id, seed, ORDER), row_id)


def sort_rows(hashed: NDArray[np.uint64], row_id: Any) -> NDArray[np.int64]:
    """Sorts rows by their hashes, ties by their identity.

    Args:
        hashed: uint64 [rows].
        row_id: A struct array of type `ROW_ID`, [rows].

    Returns:
        Row numbers in order, int64 [rows].
    """
    by_hash = np.argsort(hashed, kind="stable")
    if not (np.diff(hashed[by_hash]) == 0).any():
        return by_hash
    file, position, window = row_id.flatten()
    rank = pc.rank(file.dictionary, tiebreaker="dense").to_numpy()[file.indices.to_numpy()]
    return np.lexsort((window.to_numpy(), position.to_numpy(), rank, hashed))


def choose_split(row_id: Any, seed: int, fractions: Sequence[float]) -> NDArray[np.int64]:
    """Deals rows out to splits; all windows of a row go to the same one.

    Args:
        row_id: A struct array of type `ROW_ID`, [rows].
        seed: `run.seed`.
        fractions: The share of each split; they add up to 1.

    Returns:
        The number of each row's split, int64 [rows].
    """
    uniform = (keys(row_id, seed, SPLIT) >> np.uint64(11)).astype(np.float64) * 2.0**-53  # in [0, 1)
    return np.searchsorted(np.cumsum(fractions)[:-1], uniform, side="right")


def escape_path(path: str) -> str:
    """Percent-encodes what separates the parts of a row id.

    >>> escape_path("a#1%.txt")
    'a%231%25.txt'
    """
    return path.replace("%", "%25").replace("#", "%23")


def row_id_strings(row_id: Any, *, windows: bool) -> Any:
    """Spells identities out as `<path>#<position>`, with `#<window>` where rows have windows.

    Args:
        row_id: A struct array of type `ROW_ID`, [rows].
        windows: Whether the window belongs to the id.

    Returns:
        A string array, [rows].
    """
    file, position, window = row_id.flatten()
    escaped = pa.array([escape_path(path) for path in file.dictionary.to_pylist()], pa.string())
    parts = [
        pa.DictionaryArray.from_arrays(file.indices, escaped).cast(pa.string()),
        position.cast(pa.string()),
    ]
    if windows:
        parts.append(window.cast(pa.string()))
    return pc.binary_join_element_wise(*parts, "#")
