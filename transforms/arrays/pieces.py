"""Pieces: text is cut where no token can span, and a piece that was met before is not encoded again.

Text obeys Zipf: most of it is pieces that were seen already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from transforms.arrays.cutter import Cutter
from transforms.arrays.errors import Refusal
from transforms.arrays.families import find_family
from transforms.arrays.piece_cache import CACHE_BYTES, PieceCache
from transforms.arrays.ragged import Ragged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

WINDOW_BYTES = 8 << 20  # of text cut at a time; a batch has less, unless one of its texts has more


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
