"""Buckets by length, the batches cut from them, and the rectangle that each batch becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transforms.arrays.errors import ConfigError
from transforms.arrays.pad import Padding, round_up, target_length
from transforms.arrays.spec import Spec, at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SMALLEST_EDGE = 32
LARGEST_EDGE = 32768  # where no maximum length is known

ROWS = 64  # of a batch, unless something else is said

ALL, OVER = "all", "over"  # labels of the one bucket without an edge, and of rows above the last edge


class Bucketing(Spec, frozen=True):
    """How rows are put into length classes: the section `bucket`.

    Attributes:
        boundaries: "doubling", or token counts, upper-inclusive and rising; empty for one bucket.
    """

    boundaries: str | tuple[int, ...] = "doubling"

    def __post_init__(self) -> None:
        """Refuses boundaries that do not rise."""
        if self.boundaries == "auto":
            raise ConfigError("bucket.boundaries: auto is not available yet; write doubling or a list of lengths")
        if isinstance(self.boundaries, str):
            if self.boundaries != "doubling":
                raise ConfigError(
                    f"bucket.boundaries: {self.boundaries!r} is not known; write doubling or a list, e.g. [64, 128]"
                )
            return
        for before, after in zip((0, *self.boundaries), self.boundaries, strict=False):
            if after <= before:
                raise ConfigError(
                    f"bucket.boundaries: {list(self.boundaries)} must rise from at least 1, but {after} "
                    f"follows {before}"
                )


class Batching(Spec, frozen=True):
    """How many rows make a batch: the section `batch`.

    Attributes:
        rows: Rows of one batch; None leaves it to `tokens`, or to 64.
        tokens: A budget instead: rows = tokens // the bucket's boundary.
        drop_remainder: Whether the last, smaller batch of a shard is left out.
        max_bytes: Of one padded batch; a row wider than its share is a dead letter.
    """

    rows: int | None = ROWS
    tokens: int | None = None
    drop_remainder: bool = False
    max_bytes: int = 268435456

    def __post_init__(self) -> None:
        """Refuses sizes below one, and both ways of giving a size at once."""
        if self.tokens is not None and self.rows not in (None, ROWS):
            raise ConfigError(f"batch.tokens: given beside batch.rows {self.rows}; give one of them")
        at_least(self.rows, 1, "batch.rows")
        at_least(self.tokens, 1, "batch.tokens")
        at_least(self.max_bytes, 1, "batch.max_bytes")


@dataclass(frozen=True)
class Layout:
    """The buckets of a job, and the shape of the batches in each.

    A bucket is known by its index: 0 .. for the edges in order, then one more for rows above the last
    edge (or for all rows, where there are no edges).

    Attributes:
        edges: Upper-inclusive boundaries in tokens, rising.
        rows: Rows of a batch, for each bucket, [edges + 1].
        padding: How batches are padded.
        cell_bytes: Bytes one padded token takes in all written columns.
        max_bytes: Of one padded batch.
        drop_remainder: Whether a shard's last, smaller batch is left out.

    >>> layout = make_layout(Bucketing(boundaries=(4, 8)), Batching(rows=2), Padding(), 8, 5)
    >>> layout.bucket_of(np.array([1, 4, 5, 8])).tolist()
    [0, 0, 1, 1]
    >>> layout.label(1)
    8
    """

    edges: tuple[int, ...]
    rows: tuple[int, ...]
    padding: Padding
    cell_bytes: int
    max_bytes: int
    drop_remainder: bool = False

    def bucket_of(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Says which bucket each row belongs to.

        Args:
            lengths: Tokens of each row, specials included, int64 [rows].

        Returns:
            Indices of buckets, int64 [rows].
        """
        return np.searchsorted(np.array(self.edges, np.int64), lengths, side="left")

    def label(self, bucket: int) -> int | str:
        """Names a bucket as the manifest does: its edge, "all" or "over"."""
        if bucket < len(self.edges):
            return self.edges[bucket]
        return OVER if self.edges else ALL

    def index(self, label: int | str) -> int:
        """Finds a bucket by its name: the reverse of `label`."""
        return self.edges.index(label) if isinstance(label, int) else len(self.edges)

    def target(self, bucket: int) -> int | None:
        """Says how wide batches of a bucket are to be; None where that depends on their rows."""
        return target_length(self.padding, self.edges[bucket] if bucket < len(self.edges) else None)

    def widths(self, lengths: NDArray[np.int64], bucket: int) -> NDArray[np.int64]:
        """Says how wide each row of a bucket becomes.

        Args:
            lengths: Tokens of each row, in the order in which batches are cut, int64 [rows].
            bucket: The bucket's index.

        Returns:
            int64 [rows]; rows of a batch share one width unless padding is off or they exceed the target.
        """
        target = self.target(bucket)
        if target is not None:
            return np.maximum(lengths, target)
        if not self.padding.pads or not len(lengths):
            return lengths
        rows = min(self.rows[bucket], len(lengths))
        longest = np.maximum.reduceat(lengths, np.arange(0, len(lengths), rows))
        return np.repeat(round_up(longest, self.padding.multiple_of), rows)[: len(lengths)]

    def fits(self, lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Says which rows keep a batch within `max_bytes`, whatever rows stand beside them.

        Args:
            lengths: Tokens of each row, specials included, int64 [rows].

        Returns:
            bool [rows].
        """
        buckets = self.bucket_of(lengths)
        targets = np.array([self.target(bucket) or 0 for bucket in range(len(self.rows))], np.int64)[buckets]
        loose = round_up(lengths, self.padding.multiple_of) if self.padding.pads else lengths
        padded = np.where(targets > 0, np.maximum(lengths, targets), loose)
        cell_bytes = max(1, self.cell_bytes)  # where no column has cells, a batch is still not endless
        share = np.array([self.max_bytes // (rows * cell_bytes) for rows in self.rows], np.int64)
        return padded <= share[buckets]


def doubling(max_length: int | None) -> tuple[int, ...]:
    """Lists 32, 64, 128, ... below the maximum, and the maximum itself.

    >>> doubling(100)
    (32, 64, 100)
    >>> doubling(20)
    (20,)
    """
    last = max_length if max_length is not None else LARGEST_EDGE
    edges = []
    edge = SMALLEST_EDGE
    while edge < last:
        edges.append(edge)
        edge *= 2
    return (*edges, last)


def make_layout(
    bucketing: Bucketing,
    batching: Batching,
    padding: Padding,
    max_length: int | None,
    cell_bytes: int,
    *,
    truncates: bool = True,
    notes: list[str] | None = None,
) -> Layout:
    """Works the buckets and their batches out of the configuration.

    Args:
        bucketing: The section `bucket`.
        batching: The section `batch`.
        padding: The section `pad`, its length resolved.
        max_length: Tokens of a row, specials included; None where there is no limit.
        cell_bytes: Bytes one padded token takes in all written columns.
        truncates: Whether no row is longer than `max_length`.
        notes: Gets a sentence for what is added to the configuration.

    Returns:
        The layout.

    Raises:
        ConfigError: The sections contradict each other.
    """
    edges = doubling(max_length) if isinstance(bucketing.boundaries, str) else bucketing.boundaries
    if truncates and max_length is not None and edges and edges[-1] < max_length:
        edges = (*edges, max_length)
        (notes if notes is not None else []).append(f"bucket.boundaries: {max_length} is added, where rows are cut")
    if padding.name == "bucket" and not edges:
        raise ConfigError("pad.to: bucket needs bucket.boundaries; give some, or pad to longest")
    rows = _rows_of_batches(batching, edges, max_length, open_end=not (truncates and edges and max_length))
    layout = Layout(edges, rows, padding, cell_bytes, batching.max_bytes, batching.drop_remainder)
    for bucket in range(len(edges) or 1):
        width = layout.target(bucket)
        if width is not None and width * rows[bucket] * cell_bytes > batching.max_bytes:
            raise ConfigError(
                f"batch.max_bytes: a batch of {rows[bucket]} rows padded to {width} takes "
                f"{width * rows[bucket] * cell_bytes} bytes, more than {batching.max_bytes}; "
                "raise it or lower batch.rows"
            )
    return layout


def _rows_of_batches(
    batching: Batching, edges: Sequence[int], max_length: int | None, *, open_end: bool
) -> tuple[int, ...]:
    """Rows of a batch for each edge, and for rows above the last."""
    if batching.tokens is None:
        return (batching.rows or ROWS,) * (len(edges) + 1)
    if open_end and max_length is None:
        raise ConfigError(
            "batch.tokens: rows longer than the last boundary have no limit to count with; set "
            "truncate.max_length, or give batch.rows instead"
        )
    return tuple(max(1, batching.tokens // edge) for edge in (*edges, max_length or edges[-1]))
