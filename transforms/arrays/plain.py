"""The library `tokenizers` itself, as an engine."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from transforms.arrays.ragged import Ragged, offsets_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TokenizersEngine:
    """The library `tokenizers` itself: the meaning, the fallback and the oracle.

    Args:
        tokenizer: Without truncation and padding.
    """

    name = "tokenizers"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens: see `engines.Engine.encode`."""
        encodings = self._tokenizer.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        offsets = offsets_of(np.fromiter(map(len, ids), np.int64, len(ids)))
        return Ragged(offsets, np.fromiter(chain.from_iterable(ids), np.int32, int(offsets[-1])))
