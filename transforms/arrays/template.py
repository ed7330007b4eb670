"""Special tokens: a template read off a tokenizer, and content put into it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from transforms.arrays.errors import ConfigError
from transforms.arrays.ragged import Ragged, offsets_of, spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer


class Piece(NamedTuple):
    """One place of a template: a special token, or a sequence's content.

    Attributes:
        special: The special token's id; None where content goes.
        sequence: 0 for the first text, 1 for the second; None for a special token.
        type_id: The token type of what stands here.
    """

    special: int | None
    sequence: int | None
    type_id: int


class Slices(NamedTuple):
    """A slice of each of many rows of one flat array.

    Attributes:
        values: The flat array, int32.
        starts: Where in it each slice starts, int64 [rows].
        lengths: How long each slice is, int64 [rows].
    """

    values: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def whole(cls, ragged: Ragged) -> Slices:
        """Takes every row of a ragged array from end to end."""
        return cls(ragged.values, ragged.offsets[:-1], ragged.lengths)


@dataclass(frozen=True)
class Template:
    """Where a tokenizer puts special tokens around its content.

    Attributes:
        pieces: In the order in which they stand in a row.

    >>> template = Template((Piece(101, None, 0), Piece(None, 0, 0), Piece(102, None, 0)))
    >>> template.assemble([Slices.whole(Ragged.of([[7, 8], []]))]).tolist()
    [[101, 7, 8, 102], [101, 102]]
    >>> template.special_tokens_mask([np.array([2, 0])]).tolist()
    [1, 0, 0, 1, 1, 1]
    """

    pieces: tuple[Piece, ...]

    @property
    def specials(self) -> int:
        """The number of special tokens it adds to a row."""
        return sum(piece.special is not None for piece in self.pieces)

    @property
    def has_types(self) -> bool:
        """Whether any token gets a type other than 0."""
        return any(piece.type_id for piece in self.pieces)

    def assemble(self, contents: Sequence[Slices]) -> Ragged:
        """Puts contents into the template.

        Args:
            contents: One slice a row of the first text, and of the second if the template is for pairs.

        Returns:
            The rows with their special tokens, int32.
        """
        specials = np.array([piece.special or 0 for piece in self.pieces], np.int32)  # int32 [pieces]
        # All that rows are made of stands in one array, so that one gather makes them.
        pool = np.concatenate([specials, *(content.values for content in contents)])
        begins = np.cumsum([len(specials), *(len(content.values) for content in contents)])
        shape = (len(contents[0].starts), len(self.pieces))
        starts, lengths = np.empty(shape, np.int64), np.empty(shape, np.int64)  # int64 [rows, pieces] each
        for i, piece in enumerate(self.pieces):
            source = None if piece.sequence is None else contents[piece.sequence]
            starts[:, i] = i if source is None else begins[piece.sequence] + source.starts
            lengths[:, i] = 1 if source is None else source.lengths
        return Ragged(offsets_of(lengths.sum(1)), pool[spans(starts.ravel(), lengths.ravel())])

    def token_type_ids(self, lengths: Sequence[NDArray[np.int64]]) -> NDArray[np.int8]:
        """Lists the type of every token of rows made by this template.

        Args:
            lengths: Of the first content and, for pairs, of the second; int64 [rows] each.

        Returns:
            int8 [all tokens], row after row.
        """
        return self._repeat([piece.type_id for piece in self.pieces], lengths)

    def special_tokens_mask(self, lengths: Sequence[NDArray[np.int64]]) -> NDArray[np.int8]:
        """Marks the tokens of rows made by this template that the template added.

        Args:
            lengths: Of the first content and, for pairs, of the second; int64 [rows] each.

        Returns:
            int8 [all tokens], row after row: 1 for the template's own, 0 for content.
        """
        return self._repeat([int(piece.sequence is None) for piece in self.pieces], lengths)

    def _repeat(self, marks: Sequence[int], lengths: Sequence[NDArray[np.int64]]) -> NDArray[np.int8]:
        rows = len(lengths[0])
        counts = np.ones((rows, len(self.pieces)), np.int64)  # int64 [rows, pieces]
        for k, piece in enumerate(self.pieces):
            if piece.sequence is not None:
                counts[:, k] = lengths[piece.sequence]
        return np.repeat(np.tile(np.array(marks, np.int8), rows), counts.ravel())


def probe(tokenizer: Tokenizer, *, pair: bool, add_special_tokens: bool = True) -> Template:
    """Reads the template off a tokenizer by encoding a few texts with it.

    Args:
        tokenizer: Without truncation and padding.
        pair: Whether to read the template for pairs.
        add_special_tokens: Whether the special tokens are wanted at all.

    Returns:
        The template; it has been seen to give the tokenizer's own ids and types for contents of
        several lengths.

    Raises:
        ConfigError: What the tokenizer puts around a text is not the same for every text.
    """
    texts = [*_texts_with_tokens(tokenizer), ""]
    probes: list[tuple[str, ...]] = [(a, b) for a in texts for b in texts] if pair else [(a,) for a in texts]
    encodings = [tokenizer.encode(p[0], p[1] if pair else None, add_special_tokens=add_special_tokens) for p in probes]
    whole = max(range(len(probes)), key=lambda i: _sequences_seen(encodings[i]) * 1000 + len(encodings[i].ids))
    template = Template(_pieces(encodings[whole]))
    for texts_of_row, encoding in zip(probes, encodings, strict=True):
        parts = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts_of_row]
        lengths = [np.array([len(part)], np.int64) for part in parts]
        sequences = [piece.sequence for piece in template.pieces if piece.special is None]
        right = (len(sequences) == len(parts) and set(sequences) == set(range(len(parts)))) and (
            template.assemble([Slices.whole(Ragged.of([part])) for part in parts]).values.tolist() == encoding.ids
            and template.token_type_ids(lengths).tolist() == encoding.type_ids
            and template.special_tokens_mask(lengths).tolist() == encoding.special_tokens_mask
        )
        if not right:
            raise ConfigError(
                f"tokenize.tokenizer: its post-processor is no template: {texts_of_row!r} became "
                f"{encoding.tokens!r} with types {encoding.type_ids!r}; set tokenize.add_special_tokens: false "
                "or give the tokenizer a TemplateProcessing"
            )
    return template


def _texts_with_tokens(tokenizer: Tokenizer) -> list[str]:
    """Finds texts that are content to a tokenizer: some vocabularies have no Latin letter."""
    texts = ["a", "b c", "d e f"]
    if any(tokenizer.encode(text, add_special_tokens=False).ids for text in texts):
        return texts
    tokens = sorted(tokenizer.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
    found = (token for token, _ in tokens if tokenizer.encode(token, add_special_tokens=False).ids)
    return list(islice(found, len(texts))) or texts


def _sequences_seen(encoding: Any) -> int:
    return len({sequence for sequence in encoding.sequence_ids if sequence is not None})


def _pieces(encoding: Any) -> tuple[Piece, ...]:
    """Folds an encoding's tokens into the pieces of its template."""
    pieces: list[Piece] = []
    rows = zip(encoding.ids, encoding.sequence_ids, encoding.type_ids, encoding.special_tokens_mask, strict=True)
    for token, sequence, type_id, special in rows:
        piece = Piece(token, None, type_id) if special else Piece(None, sequence, type_id)
        if special or not pieces or pieces[-1] != piece:
            pieces.append(piece)
    return tuple(pieces)
