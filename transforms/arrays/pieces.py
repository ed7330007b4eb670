"""Pieces: text is cut where no token can span, and a piece that was met before is not encoded again.

Text obeys Zipf: most of it is pieces that were seen already. Only the others go to `tokenizers`.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from transforms.arrays.errors import Refusal
from transforms.arrays.families import Cutter, find_family
from transforms.arrays.ragged import Ragged, offsets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

CACHE_BYTES = 96 << 20  # of pieces held, counted with what Python needs for each
ENTRY_BYTES = 180  # of a short string, its place in a dict, and the numbers beside it
LONGEST_HELD = 256  # bytes; a longer piece will hardly be met again


class PieceCache:
    """The ids of pieces that were met before, in bounded memory.

    Args:
        tokenizer: Encodes pieces that are met for the first time.
        max_bytes: When more is held, all is forgotten; common pieces come back at once.

    Attributes:
        held_bytes: What the cache holds now, as it is counted against the bound.
        encoded: How many pieces went to the tokenizer so far.
    """

    def __init__(self, tokenizer: Tokenizer, max_bytes: int = CACHE_BYTES) -> None:
        self._tokenizer = tokenizer
        self._max_bytes = max_bytes
        self.encoded = 0
        self._forget()

    def _forget(self) -> None:
        self._slots: dict[str, int] = {}
        self._rows = Ragged(np.zeros(1, np.int64), np.zeros(0, np.int32))  # ids of each slot
        self.held_bytes = 0

    def encode(self, pieces: Any) -> Ragged:
        """Finds the ids of pieces.

        Args:
            pieces: An Arrow string array without nulls.

        Returns:
            The ids of each, int32.
        """
        encoded = pieces.dictionary_encode()
        found, slots = self._find(encoded.dictionary.to_pylist())
        slot = slots[encoded.indices.to_numpy()]  # int64 [pieces]
        return found.take(slot)

    def _find(self, distinct: list[str]) -> tuple[Ragged, NDArray[np.int64]]:
        """Finds the ids of distinct pieces: rows of ids, and the row of each piece."""
        if self.held_bytes > self._max_bytes:
            self._forget()
        known = list(map(self._slots.get, distinct))
        missing = [i for i, slot in enumerate(known) if slot is None]
        if not missing:
            return self._rows, np.array(known, np.int64)
        # Those that will be held come first, so that the others can be dropped behind them.
        missing.sort(key=lambda i: len(distinct[i]) > LONGEST_HELD)
        new = [distinct[i] for i in missing]
        encodings = self._tokenizer.encode_batch_fast(new, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        self.encoded += len(new)
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        values = np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum()))
        first = self._rows.rows
        for number, i in enumerate(missing):
            known[i] = first + number
        rows = Ragged.concatenate([self._rows, Ragged(offsets_of(lengths), values)])
        self._hold(rows, new, first)
        return rows, np.array(known, np.int64)

    def _hold(self, rows: Ragged, new: list[str], first: int) -> None:
        """Keeps the new pieces that are short enough."""
        held = sum(len(piece) <= LONGEST_HELD for piece in new)
        self._slots.update(zip(new[:held], range(first, first + held), strict=True))
        end = first + held
        self._rows = Ragged(rows.offsets[: end + 1], rows.values[: rows.offsets[end]])
        text = sum(map(len, new[:held]))
        self.held_bytes += held * ENTRY_BYTES + text + 4 * int(rows.offsets[end] - rows.offsets[first])


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
        data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
        cuts = self._cutter.cuts(data)
        cuts[offsets[:-1][offsets[:-1] < offsets[-1]] - offsets[0]] = True
        edges = np.append(np.flatnonzero(cuts), len(data)).astype(np.int32) + offsets[0]  # int32 [pieces + 1]
        pieces = pa.StringArray.from_buffers(len(edges) - 1, pa.py_buffer(edges), data_buffer)
        ids = self.cache.encode(pieces)
        return Ragged(ids.offsets[np.searchsorted(edges, offsets)], ids.values)
