"""Pieces: text is cut where no token can span, and a piece that was met before is not encoded again.

Text obeys Zipf: most of it is pieces that were seen already. Only the others go to `tokenizers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.errors import Refusal
from transforms.arrays.families import Cutter, find_family
from transforms.arrays.plain import TokenizersEngine
from transforms.arrays.ragged import Ragged, offsets_of, spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

CACHE_BYTES = 96 << 20  # of pieces held, counted with what Python needs for each
ENTRY_BYTES = 180  # of a short string, its place in a dict, and the numbers beside it
WINDOW_BYTES = 8 << 20  # of text cut at a time; a batch has less, unless one of its texts has more
LONGEST_HELD = 256  # bytes; a longer piece will hardly be met again
HOT_PIECES = 1 << 16  # those that are met most: nearly all of a text
COLD_SHARE = 1 / 16  # of a batch's pieces; where more are not hot, others have become so


class PieceCache:
    """The ids of pieces that were met before, in bounded memory.

    The pieces that are met most stand in an Arrow array, where Arrow looks a whole batch up at once; the
    others in a dict, which is asked for the few that are left.

    Args:
        tokenizer: Encodes pieces that are met for the first time.
        max_bytes: When more is held, all but the pieces that are met most is forgotten.

    Attributes:
        held_bytes: What the cache holds now, as it is counted against the bound.
        encoded: How many pieces were met for the first time so far, or had been forgotten.
        hot: The pieces that are met most, an Arrow string array.
    """

    def __init__(self, tokenizer: Tokenizer, max_bytes: int = CACHE_BYTES) -> None:
        self._plain = TokenizersEngine(tokenizer)
        self._max_bytes = max_bytes
        self.encoded = 0
        self._forget()

    def _forget(self) -> None:
        self._slots: dict[str, int] = {}
        self._rows = Ragged.of([])  # ids of each slot
        self.hot: Any = pa.array([], pa.string())
        self._hot_slots = np.zeros(0, np.int64)
        self._hot_rows = Ragged.of([])  # ids of each hot piece
        self.held_bytes = 0

    def _forget_cold(self) -> None:
        """Forgets all but the hot pieces, and these too where they alone are half of what may be held."""
        hot, rows = self.hot, self._hot_rows
        self._forget()
        held = held_bytes(hot, rows, 0)
        if held <= self._max_bytes // 2:
            self.hot, self._hot_rows, self._rows, self.held_bytes = hot, rows, rows, held
            self._hot_slots = np.arange(len(hot))

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
        rows, slots = self._find(encoded.dictionary)
        place = place.copy()
        place[cold] = encoded.indices.to_numpy() + np.int32(len(self.hot))
        ids = gather_short(Ragged.concatenate([self._hot_rows, rows.take(slots)]), place)
        if len(cold) > COLD_SHARE * len(place):
            self._choose_hot(encoded.dictionary, slots, place)
        return ids

    def _find(self, distinct: Any) -> tuple[Ragged, NDArray[np.int64]]:
        """Finds the ids of distinct pieces: rows of ids, and the row of each piece."""
        known = [self._slots.get(piece, -1) for piece in distinct.to_pylist()]
        slots = np.array(known, np.int64)  # int64 [distinct]
        missing = np.flatnonzero(slots < 0)
        if not len(missing):
            return self._rows, slots
        # Those that will be held come first, so that the others can be dropped behind them.
        long = pc.binary_length(distinct).to_numpy()[missing] > LONGEST_HELD
        missing = missing[np.argsort(long, kind="stable")]
        new = distinct.take(pa.array(missing))
        first = self._rows.rows
        slots[missing] = np.arange(first, first + len(missing))
        rows = Ragged.concatenate([self._rows, self._plain.encode(new)])
        self.encoded += len(new)
        self._hold(rows, new.slice(0, len(missing) - int(long.sum())), first)
        return rows, slots

    def _hold(self, rows: Ragged, new: Any, first: int) -> None:
        """Keeps new pieces, whose rows are those from the first on."""
        end = first + len(new)
        self._slots.update(zip(new.to_pylist(), range(first, end), strict=True))
        self._rows = Ragged(rows.offsets[: end + 1], rows.values[: rows.offsets[end]])
        self.held_bytes += held_bytes(new, self._rows, first)

    def _choose_hot(self, distinct: Any, slots: NDArray[np.int64], place: NDArray[np.int32]) -> None:
        """Chooses the hot pieces anew: those that a batch has most of, then those that were hot before.

        Args:
            distinct: The batch's pieces that are not hot, an Arrow string array.
            slots: Their slots, int64 [distinct].
            place: Of every piece of the batch, among the hot and then the distinct ones, int32 [pieces].
        """
        met = np.bincount(place, minlength=len(self.hot) + len(distinct))
        numbers = np.concatenate([self._hot_slots, slots])
        met[numbers >= self._rows.rows] = -1  # not held
        hottest = np.argsort(-met, kind="stable")[: min(HOT_PIECES, int((met >= 0).sum()))]
        self.hot = pa.concat_arrays([self.hot, distinct]).take(pa.array(hottest))
        self._hot_slots = numbers[hottest]
        self._hot_rows = self._rows.take(self._hot_slots)


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


class PiecesEngine:
    """Cuts texts into pieces, each encoded once: for tokenizers of the known families.

    Args:
        tokenizer: Without truncation and padding.
        cache_bytes: The bound of the cache.

    Raises:
        Refusal: The tokenizer is of no family, or could not be cut after all.
    """

    name = "pieces"

    def __init__(self, tokenizer: Tokenizer, cache_bytes: int = CACHE_BYTES) -> None:
        family = find_family(tokenizer.to_str())
        if family is None:
            raise Refusal("its normalizer, pre-tokenizer and model are of no family that can be cut")
        self._cutter = Cutter(tokenizer, family)
        self.cache = PieceCache(tokenizer, cache_bytes)

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens: see `engines.Engine.encode`."""
        if not len(texts):
            return Ragged.of([])
        texts = texts.cast(pa.string())
        _, offset_buffer, data_buffer = texts.buffers()
        offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        if offsets[0] == offsets[-1]:
            return Ragged.of([[]] * len(texts))
        data = np.frombuffer(data_buffer, np.uint8)[: offsets[-1]]  # uint8 [bytes]
        begin, total, values = offsets[0], 0, []
        bounds = np.zeros(len(offsets), np.int64)  # int64 [texts + 1]: where the ids of each text begin
        for ends in self._windows(data, offsets):
            edges = np.append(begin, ends)  # int32 [pieces + 1]
            ids = self.cache.encode(pa.StringArray.from_buffers(len(ends), pa.py_buffer(edges), data_buffer))
            here = slice(
                np.searchsorted(offsets, begin, side="right"), np.searchsorted(offsets, ends[-1], side="right")
            )
            bounds[here] = total + ids.offsets[np.searchsorted(edges, offsets[here])]
            begin, total = ends[-1], total + len(ids.values)
            values.append(ids.values)
        return Ragged(bounds, values[0] if len(values) == 1 else np.concatenate(values))

    def _windows(self, data: NDArray[np.uint8], rows: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
        """Cuts texts in windows of a buffer, so that one text of any size takes bounded memory.

        Args:
            data: UTF-8, uint8 [bytes].
            rows: Where the texts begin and the last ends, int32 [texts + 1].

        Yields:
            Where the pieces of a window end, int32 [pieces]; the last piece ends where the next window begins.
        """
        begin, size = int(rows[0]), WINDOW_BYTES
        while begin < len(data):
            stop = _whole_characters(data, begin + size)
            cuts = self._cutter.cuts(data[begin:stop])
            inside = slice(np.searchsorted(rows, begin, side="right"), np.searchsorted(rows, stop))
            cuts[rows[inside] - begin] = True
            ends = (np.flatnonzero(cuts) + begin).astype(np.int32)
            if stop == len(data):
                ends = np.append(ends, np.int32(stop))
            if len(ends):
                yield ends
                begin, size = int(ends[-1]), WINDOW_BYTES
            else:
                size *= 2  # not a single safe place


def _whole_characters(data: NDArray[np.uint8], stop: int) -> int:
    """Moves a place in UTF-8 back to where a character begins; the end where it lies behind it."""
    if stop >= len(data):
        return len(data)
    while data[stop] & 0xC0 == 0x80:
        stop -= 1
    return stop
