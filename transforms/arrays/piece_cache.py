"""The ids of pieces that were met before, or that the model itself gives for many words at once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.errors import Refusal
from transforms.arrays.plain import TokenizersEngine
from transforms.arrays.ragged import Ragged, offsets_of, spans
from transforms.arrays.unigram import UnigramWords
from transforms.arrays.wordpiece import WordPieceWords

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

CACHE_BYTES = 96 << 20  # of pieces held, counted with what Python needs for each
ENTRY_BYTES = 180  # of a short string, its place in a dict, and the numbers beside it
LONGEST_HELD = 256  # bytes; a longer piece will hardly be met again
HOT_PIECES = 1 << 16  # those that are met most: nearly all of a text
COLD_SHARE = 1 / 16  # of a batch's pieces; where more are not hot, others have become so


class Words(Protocol):
    """A model that gives the ids of many pieces at once; made of a tokenizer, or a `Refusal`."""

    def encode(self, pieces: Any) -> tuple[NDArray[np.bool_], Ragged]:
        """Finds the ids of those pieces that it is made for.

        Args:
            pieces: An Arrow string array without nulls.

        Returns:
            Which pieces it took, bool [pieces]; the ids of all pieces, int32, none for those it did not take.
        """


WORDS: tuple[Any, ...] = (WordPieceWords, UnigramWords)


class PieceCache:
    """The ids of pieces that were met before, in bounded memory.

    The pieces that are met most stand in an Arrow array, where Arrow looks a whole batch up at once. For the others
    the model itself is asked where it can be asked for many words at once (`WORDS`), else a dict, then `tokenizers`.

    Args:
        tokenizer: Encodes pieces that are met for the first time.
        max_bytes: When more is held, all but the pieces that are met most is forgotten.

    Attributes:
        held_bytes: What the cache holds now, as it is counted against the bound.
        encoded: How many pieces went to `tokenizers` so far.
        hot: The pieces that are met most, an Arrow string array.
    """

    def __init__(self, tokenizer: Tokenizer, max_bytes: int = CACHE_BYTES) -> None:
        self._plain = TokenizersEngine(tokenizer)
        self._words = words_of(tokenizer)
        self._max_bytes = max_bytes
        self.encoded = 0
        self._forget()

    def _forget(self) -> None:
        self.hot: Any = pa.array([], pa.string())
        self._hot_rows = Ragged.of([])  # ids of each hot piece
        self._slots: dict[str, int] = {}
        self._rows = Ragged.of([])  # ids of each slot
        self.held_bytes = 0

    def _forget_cold(self) -> None:
        """Forgets all but the hot pieces, and these too where they alone are half of what may be held."""
        hot, rows = self.hot, self._hot_rows
        self._forget()
        held = held_bytes(hot, rows, 0)
        if held <= self._max_bytes // 2:
            self.hot, self._hot_rows, self.held_bytes = hot, rows, held

    def encode(self, pieces: Any) -> Ragged:
        """Finds the ids of pieces.

        Args:
            pieces: An Arrow string array without nulls.

        Returns:
            The ids of each, int32.
        """
        if self.held_bytes > self._max_bytes:
            self._forget_cold()
        place = pc.index_in(pieces, value_set=self.hot).fill_null(-1).to_numpy()  # int32 [pieces]
        cold = np.flatnonzero(place < 0)
        if not len(cold):
            return gather_short(self._hot_rows, place)
        encoded = pieces.take(pa.array(cold)).dictionary_encode()
        found = Ragged.concatenate([self._hot_rows, self._find(encoded.dictionary)])
        place = place.copy()
        place[cold] = encoded.indices.to_numpy() + np.int32(len(self.hot))
        if len(cold) > COLD_SHARE * len(place):
            self._choose_hot(encoded.dictionary, found, place)
        return gather_short(found, place)

    def _choose_hot(self, distinct: Any, found: Ragged, place: NDArray[np.int32]) -> None:
        """Chooses the hot pieces anew: those that a batch has most of, then those that were hot before.

        Args:
            distinct: The batch's pieces that are not hot, an Arrow string array.
            found: Ids of the hot pieces, then of the distinct ones.
            place: Of every piece of the batch among these, int32 [pieces].
        """
        candidates = pa.concat_arrays([self.hot, distinct])
        met = np.bincount(place, minlength=len(candidates))
        met[pc.binary_length(candidates).to_numpy() > LONGEST_HELD] = -1
        hottest = np.argsort(-met, kind="stable")[: min(HOT_PIECES, int((met >= 0).sum()))]
        self.hot, self._hot_rows = candidates.take(pa.array(hottest)), found.take(hottest)

    def _find(self, distinct: Any) -> Ragged:
        """Finds the ids of distinct pieces that are not hot."""
        if self._words is None:
            return self._remember(distinct)
        taken, ids = self._words.encode(distinct)
        left = np.flatnonzero(~taken)
        if not len(left):
            return ids
        return ids.with_rows(left, self._remember(distinct.take(pa.array(left))))

    def _remember(self, pieces: Any) -> Ragged:
        """Finds the ids of pieces in the dict, and has those that are not there encoded."""
        known = [self._slots.get(piece, -1) for piece in pieces.to_pylist()]
        slots = np.array(known, np.int64)  # int64 [pieces]
        missing = np.flatnonzero(slots < 0)
        if not len(missing):
            return self._rows.take(slots)
        # Those that will be held come first, so that the others can be dropped behind them.
        long = pc.binary_length(pieces).to_numpy()[missing] > LONGEST_HELD
        missing = missing[np.argsort(long, kind="stable")]
        new = pieces.take(pa.array(missing))
        first = self._rows.rows
        slots[missing] = np.arange(first, first + len(missing))
        rows = Ragged.concatenate([self._rows, self._plain.encode(new)])
        self.encoded += len(new)
        self._hold(rows, new.slice(0, len(missing) - int(long.sum())), first)
        return rows.take(slots)

    def _hold(self, rows: Ragged, new: Any, first: int) -> None:
        """Keeps new pieces, whose rows are those from the first on."""
        end = first + len(new)
        self._slots.update(zip(new.to_pylist(), range(first, end), strict=True))
        self._rows = Ragged(rows.offsets[: end + 1], rows.values[: rows.offsets[end]])
        self.held_bytes += held_bytes(new, self._rows, first)


def words_of(tokenizer: Tokenizer) -> Words | None:
    """Makes what finds the ids of most pieces sooner than `tokenizers` does, for models that have it.

    Args:
        tokenizer: Without truncation and padding.

    Returns:
        One of `WORDS`; None where none takes the tokenizer.
    """
    for words in WORDS:
        with suppress(Refusal):
            made: Words = words(tokenizer)
            return made
    return None


def held_bytes(pieces: Any, rows: Ragged, first: int) -> int:
    """Counts what it takes to hold pieces: their text, their ids, and Python's own part.

    Args:
        pieces: An Arrow string array.
        rows: Their ids are the rows from `first` to the last.
        first: The first of these rows.

    Returns:
        Bytes.
    """
    text = pc.sum(pc.binary_length(pieces)).as_py() or 0
    return len(pieces) * ENTRY_BYTES + text + 4 * int(rows.offsets[-1] - rows.offsets[first])


def gather_short(rows: Ragged, place: NDArray[np.int32]) -> Ragged:
    """Gathers rows of which most have a single value: the first of each, then what the others have behind it.

    Args:
        rows: The rows.
        place: Which to take, int32 [taken].

    Returns:
        What `rows.take` gives, sooner.

    >>> gather_short(Ragged.of([[7], [], [8, 9]]), np.array([2, 0, 1])).tolist()
    [[8, 9], [7], []]
    """
    lengths = rows.lengths[place]  # int64 [taken]
    offsets = offsets_of(lengths)
    values = np.empty(offsets[-1], rows.values.dtype)  # [sum of lengths]
    firsts = np.append(rows.values, 0)[rows.offsets[:-1]].astype(values.dtype)  # [rows]; anything for an empty one
    some = lengths > 0
    if some.all():
        values[offsets[:-1]] = firsts[place]
    else:
        values[offsets[:-1][some]] = firsts[place[some]]
    more = np.flatnonzero(lengths > 1)
    rest = lengths[more] - 1
    values[spans(offsets[more] + 1, rest)] = rows.values[spans(rows.offsets[place[more]] + 1, rest)]
    return Ragged(offsets, values)
