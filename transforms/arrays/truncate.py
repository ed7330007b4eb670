"""Truncation: which tokens of a text or a pair survive, and the windows that take up the rest.

Everything here is arithmetic on lengths; no token is touched. The budget is the row's limit less the
special tokens of its template.

Source: `tokenizers` (tokenizers/src/utils/truncation.rs), which is the oracle of every rule below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from transforms.arrays.errors import ConfigError, one_of
from transforms.arrays.ragged import offsets_of
from transforms.arrays.spec import Spec, at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ON_UNFIT = ("dead_letter", "drop", "longest_first", "error")
SIDES = ("right", "left")


class Truncation(Spec, frozen=True):
    """How rows are cut to size: the section `truncate`.

    Attributes:
        strategy: A name of `STRATEGIES`; true is longest_first, false do_not_truncate.
        max_length: Tokens of a row, specials included; None for the model's maximum.
        side: The side that is cut, "right" or "left"; None for the tokenizer's own.
        overflow: Whether the cut-off tokens come as further rows (windows).
        stride: Tokens that neighbouring windows share.
        max_windows: The most windows of one row, the first one too.
        on_unfit: What becomes of a row that the strategy cannot fit.
    """

    strategy: str | bool = "longest_first"
    max_length: int | None = None
    side: str | None = None
    overflow: bool = False
    stride: int = 0
    max_windows: int = 64
    on_unfit: str = "dead_letter"

    def __post_init__(self) -> None:
        """Refuses values that cannot work with any tokenizer."""
        one_of(self.name, STRATEGIES, "truncate.strategy")
        at_least(self.max_length, 1, "truncate.max_length")
        at_least(self.stride, 0, "truncate.stride")
        at_least(self.max_windows, 1, "truncate.max_windows")
        one_of(self.on_unfit, ON_UNFIT, "truncate.on_unfit")
        if self.side is not None:
            one_of(self.side, SIDES, "truncate.side")

    @property
    def name(self) -> str:
        """The strategy's name, whichever way it was spelled."""
        if isinstance(self.strategy, bool):
            return "longest_first" if self.strategy else "do_not_truncate"
        return self.strategy

    @property
    def truncates(self) -> bool:
        """Whether rows are cut at all."""
        return self.name != "do_not_truncate"


class Cut(NamedTuple):
    """What truncation makes of rows.

    A window's slice of text k is `starts[k], lengths[k]`, in tokens from the text's start.

    Attributes:
        rows: The row each window is of, int64 [windows]; windows of a row stand together.
        window: The window's number within its row, from 0, int32 [windows].
        starts: Where each text's slice starts, int64 [windows] a text.
        lengths: How many tokens of each text it has, int64 [windows] a text.
        dropped: Content tokens of its row that no window has, int64 [windows]; on the first window alone.
        unfit: Rows that the strategy cannot fit, int64.
        too_many: Rows that need more windows than allowed, int64.
    """

    rows: NDArray[np.int64]
    window: NDArray[np.int32]
    starts: tuple[NDArray[np.int64], ...]
    lengths: tuple[NDArray[np.int64], ...]
    dropped: NDArray[np.int64]
    unfit: NDArray[np.int64]
    too_many: NDArray[np.int64]


def check_budget(truncation: Truncation, *, specials: int, pair: bool) -> None:
    """Refuses limits that leave no room for content, and strides that would never end.

    Args:
        truncation: With its max_length resolved.
        specials: Special tokens of the template.
        pair: Whether rows are pairs.

    Raises:
        ConfigError: The limit or the stride cannot work.
    """
    if truncation.name == "only_second" and not pair:
        raise ConfigError("truncate.strategy: only_second needs pairs; set read.text_pair, or only_first")
    if not truncation.truncates or truncation.max_length is None:
        return
    budget = truncation.max_length - specials
    if budget < 1:
        raise ConfigError(
            f"truncate.max_length: {truncation.max_length} leaves no room for content beside {specials} "
            f"special tokens; it must be at least {specials + 1}"
        )
    if not truncation.overflow:
        return
    share = budget // 2 if pair and truncation.name == "longest_first" else budget
    if truncation.stride >= share:
        raise ConfigError(
            f"truncate.stride: {truncation.stride} is not less than the {share} content tokens a window has "
            f"{'of each text ' if pair else ''}at max_length {truncation.max_length}; it must be below {share}"
        )


def _longest_first(
    first: NDArray[np.int64], second: NDArray[np.int64], budget: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cuts the longer text down to the other, then both; the longer keeps the odd token, on a tie the second."""
    short, long = np.minimum(first, second), np.maximum(first, second)
    kept_long = np.where(short > budget, short, np.maximum(short, budget - short))
    both = short + kept_long > budget
    kept_short = np.where(both, budget // 2, short)
    kept_long = np.minimum(np.where(both, budget - budget // 2, kept_long), long)
    swap = first > second
    return np.where(swap, kept_long, kept_short), np.where(swap, kept_short, kept_long)


def _only_first(
    first: NDArray[np.int64], second: NDArray[np.int64], budget: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cuts the first text alone; less than one token left means that the row is unfit."""
    return budget - second, second


def _only_second(
    first: NDArray[np.int64], second: NDArray[np.int64], budget: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cuts the second text alone; less than one token left means that the row is unfit."""
    return first, budget - first


def _do_not_truncate(
    first: NDArray[np.int64], second: NDArray[np.int64], budget: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return first, second


STRATEGIES: dict[str, Any] = {
    "longest_first": _longest_first,
    "only_first": _only_first,
    "only_second": _only_second,
    "do_not_truncate": _do_not_truncate,
}


def surviving(lengths: Sequence[NDArray[np.int64]], budget: int, strategy: str) -> tuple[NDArray[np.int64], ...]:
    """Says how many tokens of each text fit into a row.

    Args:
        lengths: Tokens of the first text and, for pairs, of the second; int64 [rows] each.
        budget: Content tokens a row may have.
        strategy: A name of `STRATEGIES`.

    Returns:
        Tokens kept of each text, int64 [rows] each; below 1 for the text that was to be cut where the
        strategy cannot fit the row.

    >>> surviving([np.array([10]), np.array([9])], 9, "longest_first")
    (array([5]), array([4]))
    """
    if strategy == "do_not_truncate":
        return tuple(lengths)
    if len(lengths) == 1:
        return (np.minimum(lengths[0], budget),)
    first, second = lengths
    over = first + second > budget
    kept = STRATEGIES[strategy](first, second, budget)
    return np.where(over, kept[0], first), np.where(over, kept[1], second)


def cut(lengths: Sequence[NDArray[np.int64]], budget: int | None, truncation: Truncation) -> Cut:
    """Decides what becomes of every row.

    Args:
        lengths: Tokens of the first text and, for pairs, of the second; int64 [rows] each.
        budget: Content tokens a row may have; None where there is no limit.
        truncation: Strategy, side, windows; `on_unfit` other than longest_first only says what the caller
            is to do with the rows in `unfit` and `too_many`.

    Returns:
        The windows of all rows that fit, in row order, and the rows that do not.
    """
    rows = len(lengths[0])
    strategy = truncation.name if budget is not None else "do_not_truncate"
    kept = surviving(lengths, budget or 0, strategy)
    whole = [n == k for n, k in zip(lengths, kept, strict=True)]
    unfit = np.zeros(rows, bool)
    if strategy != "longest_first" or truncation.overflow:
        for n_is_k, k in zip(whole, kept, strict=True):
            # A text that is cut keeps a token, and more than its stride, or its windows would never end.
            unfit |= ~n_is_k & (k <= (truncation.stride if truncation.overflow else 0))
    counts = [np.ones(rows, np.int64) for _ in kept]
    if truncation.overflow:
        counts = [_window_count(n, k, truncation.stride) for n, k in zip(lengths, kept, strict=True)]
    # A float product cannot overflow, and is exact far above any cap.
    too_many = ~unfit & (np.prod([c.astype(np.float64) for c in counts], axis=0) > truncation.max_windows)
    refused = unfit | too_many
    if truncation.on_unfit == "longest_first" and refused.any() and budget is not None:
        fitted = surviving(lengths, budget, "longest_first")
        kept = tuple(np.where(refused, f, k) for f, k in zip(fitted, kept, strict=True))
        counts = [np.where(refused, 1, c) for c in counts]
        unfit, too_many = np.zeros(rows, bool), np.zeros(rows, bool)
        refused = unfit
    return _windows(lengths, kept, counts, unfit, too_many, truncation)


def _window_count(length: NDArray[np.int64], kept: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """Windows of a text: the first, and one every kept - stride tokens until one reaches the end."""
    step = np.maximum(kept - stride, 1)
    further: NDArray[np.int64] = np.maximum(0, -(-(length - kept) // step))
    return 1 + further


def _windows(
    lengths: Sequence[NDArray[np.int64]],
    kept: Sequence[NDArray[np.int64]],
    counts: Sequence[NDArray[np.int64]],
    unfit: NDArray[np.bool_],
    too_many: NDArray[np.bool_],
    truncation: Truncation,
) -> Cut:
    """Lays out the windows of the rows that fit."""
    fit = ~(unfit | too_many)
    number = np.where(fit, np.prod(counts, axis=0), 0)  # int64 [rows]
    offsets = offsets_of(number)
    rows = np.repeat(np.arange(len(number)), number)  # int64 [windows]
    window = np.arange(offsets[-1]) - offsets[rows]
    indices = _window_indices(window, [count[rows] for count in counts])
    starts, sizes = [], []
    for length, keep, index in zip(lengths, kept, indices, strict=True):
        n, k = length[rows], keep[rows]
        start = index * np.maximum(k - truncation.stride, 1)
        size = np.minimum(k, n - start)
        starts.append(n - start - size if truncation.side == "left" else start)
        sizes.append(size)
    lost = np.sum(lengths, axis=0) - np.sum(kept, axis=0)  # int64 [rows]
    dropped = np.where((window == 0) & (number[rows] == 1), lost[rows], 0)
    return Cut(
        rows=rows,
        window=window.astype(np.int32),
        starts=tuple(starts),
        lengths=tuple(sizes),
        dropped=dropped,
        unfit=np.flatnonzero(unfit),
        too_many=np.flatnonzero(too_many),
    )


def _window_indices(window: NDArray[np.int64], counts: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], ...]:
    """Says which window of each text makes a row's window, in the library's order.

    For pairs: first with first; then each further window of the first text with every one of the second;
    then the first text's first window with the further ones of the second.
    """
    if len(counts) == 1:
        return (window,)
    of_first, of_second = counts
    crossed = (of_first - 1) * of_second  # windows in which the first text has moved on
    moved = (window >= 1) & (window <= crossed)
    first = np.where(moved, 1 + (window - 1) // of_second, 0)
    second = np.where(moved, (window - 1) % of_second, np.where(window == 0, 0, window - crossed))
    return first, second
