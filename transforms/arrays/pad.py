"""Padding: rows of different lengths become rectangles, and masks that say which cells are real.

Source: the rules are those of `transformers` with a fast tokenizer: `pad_to_multiple_of` rounds the target
up, a fixed one too; rows longer than the target are left alone; padding has type `pad_token_type_id`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from transforms.arrays.errors import one_of
from transforms.arrays.ragged import Ragged, offsets_of
from transforms.arrays.spec import Spec, at_least

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from transforms.arrays.template import Template

TARGETS = ("longest", "bucket", "max_length", "do_not_pad")

Number = TypeVar("Number", int, "NDArray[np.int64]")


class Padding(Spec, frozen=True):
    """How batches become rectangles: the section `pad`.

    Attributes:
        to: A name of `TARGETS`; true is longest, false do_not_pad.
        length: The width for max_length; None for the truncation's limit, else the model's maximum.
        multiple_of: Widths are rounded up to a multiple of this.
        side: The side on which padding goes, "right" or "left"; None for the tokenizer's own.
        token: The token to pad with; None for the tokenizer's own.
    """

    to: str | bool = "longest"
    length: int | None = None
    multiple_of: int | None = None
    side: str | None = None
    token: str | None = None

    def __post_init__(self) -> None:
        """Refuses values that cannot work with any tokenizer."""
        one_of(self.name, TARGETS, "pad.to")
        at_least(self.length, 1, "pad.length")
        at_least(self.multiple_of, 1, "pad.multiple_of")
        if self.side is not None:
            one_of(self.side, ("right", "left"), "pad.side")

    @property
    def name(self) -> str:
        """The target's name, whichever way it was spelled."""
        if isinstance(self.to, bool):
            return "longest" if self.to else "do_not_pad"
        return self.to

    @property
    def pads(self) -> bool:
        """Whether anything is padded at all."""
        return self.name != "do_not_pad"


@dataclass(frozen=True)
class PadValues:
    """What padding is made of.

    Attributes:
        input_ids: The pad token's id.
        token_type_ids: The pad token's type.
        side: "right" or "left".
    """

    input_ids: int
    token_type_ids: int = 0
    side: str = "right"


def round_up(lengths: Number, multiple_of: int | None) -> Number:
    """Rounds lengths up to a multiple.

    >>> round_up(129, 8)
    136
    """
    return lengths if multiple_of is None else -(-lengths // multiple_of) * multiple_of


def target_length(padding: Padding, edge: int | None) -> int | None:
    """Says how wide batches of a bucket are to be, before any row is seen.

    Args:
        padding: With its length resolved.
        edge: The bucket's boundary; None where it has none.

    Returns:
        Tokens; None where that depends on the rows.
    """
    if padding.name == "max_length" and padding.length is not None:
        return round_up(padding.length, padding.multiple_of)
    if padding.name == "bucket" and edge is not None:
        return round_up(edge, padding.multiple_of)
    return None


def pad_columns(
    ids: Ragged,
    contents: tuple[NDArray[np.int64], ...],
    widths: NDArray[np.int64],
    template: Template,
    values: PadValues,
    columns: tuple[str, ...],
) -> dict[str, Ragged]:
    """Pads rows and builds the columns that say what each cell is.

    Args:
        ids: Rows with their special tokens, int32.
        contents: Content tokens of each row's texts, one array a text, int64 [rows].
        widths: How wide each row becomes, int64 [rows]; at least its length.
        template: That made the rows.
        values: What to pad with, and on which side.
        columns: Which of `COLUMNS` to build.

    Returns:
        Each column asked for, its rows as wide as `widths`.

    >>> from transforms.arrays.template import Piece, Template
    >>> one = Template((Piece(None, 0, 0),))
    >>> rows = Ragged.of([[5, 6, 7], [8]])
    >>> padded = pad_columns(rows, (rows.lengths,), np.array([3, 3]), one, PadValues(0), ("attention_mask",))
    >>> padded["attention_mask"].tolist()
    [[1, 1, 1], [1, 0, 0]]
    """
    offsets = offsets_of(widths)
    real = _real_cells(ids.lengths, widths, offsets, values.side)
    built = {}
    for column in columns:
        fill, dtype, tokens = COLUMNS[column](ids, contents, template, values)
        if tokens is None:
            cells = real.view(dtype)
        else:
            cells = np.full(offsets[-1], fill, dtype)  # [all cells]
            cells[real] = tokens
        built[column] = Ragged(offsets, cells)
    return built


def _real_cells(
    lengths: NDArray[np.int64], widths: NDArray[np.int64], offsets: NDArray[np.int64], side: str
) -> NDArray[np.bool_]:
    """Says which cells hold tokens: all others are padding; bool [all cells]."""
    if np.array_equal(lengths, widths):
        return np.ones(offsets[-1], bool)
    real = np.empty(offsets[-1], bool)  # bool [all cells]
    edges = np.flatnonzero(np.diff(widths, prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(edges):  # rows of one width: whole batches
        width = int(widths[start])
        column = np.arange(width)
        cells = real[offsets[start] : offsets[stop]].reshape(stop - start, width)
        if side == "left":
            np.greater_equal(column, width - lengths[start:stop, None], out=cells)
        else:
            np.less(column, lengths[start:stop, None], out=cells)
    return real


def _input_ids(ids: Ragged, contents: Any, template: Template, values: PadValues) -> Any:
    return values.input_ids, np.int32, ids.values[ids.offsets[0] : ids.offsets[-1]]


def _attention_mask(ids: Ragged, contents: Any, template: Template, values: PadValues) -> Any:
    return 0, np.int8, None


def _token_type_ids(ids: Ragged, contents: Any, template: Template, values: PadValues) -> Any:
    return values.token_type_ids, np.int8, template.token_type_ids(contents)


def _special_tokens_mask(ids: Ragged, contents: Any, template: Template, values: PadValues) -> Any:
    return 1, np.int8, template.special_tokens_mask(contents)


# Each column of cells: what padding is, its dtype, and the values of the real tokens; None for 1 where a token is.
COLUMNS: dict[str, Any] = {
    "input_ids": _input_ids,
    "attention_mask": _attention_mask,
    "token_type_ids": _token_type_ids,
    "special_tokens_mask": _special_tokens_mask,
}
