"""The library `tokenizers` itself, as an engine."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from transforms.arrays.ragged import Ragged, offsets_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK_BYTES = 2 << 20  # of texts encoded at a time: `tokenizers` takes some 120 bytes of memory for a byte of text
TEXT_BYTES = 64  # that a text counts beside its own, for texts may be short


class TokenizersEngine:
    """The library `tokenizers` itself: the meaning, the fallback and the oracle.

    Args:
        tokenizer: Without truncation and padding.
    """

    name = "tokenizers"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens: see `engines.Engine.encode`.

        Memory is that of about `CHUNK_BYTES`, however many texts there are; a text is never divided.
        """
        size = pc.binary_length(texts).to_numpy().astype(np.int64) + TEXT_BYTES  # int64 [texts]
        chunk = np.cumsum(size) // CHUNK_BYTES
        edges = np.flatnonzero(np.diff(chunk, prepend=-1)).tolist()
        return Ragged.concatenate(
            [self._encode(texts.slice(start, stop - start)) for start, stop in pairwise([*edges, len(texts)])]
        )

    def _encode(self, texts: Any) -> Ragged:
        encodings = self._tokenizer.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        offsets = offsets_of(np.fromiter(map(len, ids), np.int64, len(ids)))
        return Ragged(offsets, np.fromiter(chain.from_iterable(ids), np.int32, int(offsets[-1])))
