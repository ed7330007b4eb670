"""Engines that turn texts into ids: one class each, and all of them give what `tokenizers` gives."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from transforms.arrays.errors import one_of
from transforms.arrays.ragged import Ragged, offsets_of
from transforms.arrays.spec import Spec

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Tokenization(Spec, frozen=True):
    """How texts become ids: the section `tokenize`.

    Attributes:
        tokenizer: A tokenizer.json, or a folder with one and, if there, tokenizer_config.json.
        ignore: Keys of tokenizer_config.json that may disagree with tokenizer.json.
        add_special_tokens: Whether rows get the template's special tokens.
        engine: "auto", or the name of an engine.
    """

    tokenizer: str = "tokenizer.json"
    ignore: tuple[str, ...] = ()
    add_special_tokens: bool = True
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuses an engine that does not exist."""
        one_of(self.engine, ["auto", *ENGINES], "tokenize.engine")


class Failure(NamedTuple):
    """A text that an engine could not encode.

    Attributes:
        row: Its number in the array.
        message: What the engine said.
    """

    row: int
    message: str


class Engine(Protocol):
    """What turns texts into ids.

    Attributes:
        name: As in `tokenize.engine`.
    """

    name: str

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens.

        Args:
            texts: An Arrow string array without nulls.

        Returns:
            The ids of each text, int32.
        """


class TokenizersEngine:
    """The library `tokenizers` itself: the meaning, the fallback and the oracle."""

    name = "tokenizers"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens: see `Engine.encode`."""
        encodings = self._tokenizer.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        offsets = offsets_of(np.fromiter(map(len, ids), np.int64, len(ids)))
        return Ragged(offsets, np.fromiter(chain.from_iterable(ids), np.int32, int(offsets[-1])))


ENGINES = {"tokenizers": TokenizersEngine}


def make_engine(tokenizer: Tokenizer, name: str = "auto") -> Engine:
    """Makes the engine to use for a tokenizer.

    Args:
        tokenizer: Without truncation and padding.
        name: An engine's name, or "auto" for the fastest that takes this tokenizer.

    Returns:
        The engine.
    """
    return ENGINES["tokenizers" if name == "auto" else name](tokenizer)


def encode_or_bisect(engine: Engine, texts: Any) -> tuple[Ragged, list[Failure]]:
    """Encodes texts, finding those on which the engine fails.

    A failure, a panic in native code too, is bisected down to its row, so one text never takes others
    with it.

    Args:
        engine: The engine.
        texts: An Arrow string array without nulls.

    Returns:
        The ids of each text, int32, with no ids for the failed ones; and the failures in row order.
    """
    try:
        return engine.encode(texts), []
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        if not len(texts):
            raise
        if len(texts) == 1:
            return Ragged.of([[]]), [Failure(0, f"{type(error).__name__}: {error}")]
    half = len(texts) // 2
    left, left_failures = encode_or_bisect(engine, texts.slice(0, half))
    right, right_failures = encode_or_bisect(engine, texts.slice(half))
    moved = [Failure(failure.row + half, failure.message) for failure in right_failures]
    return Ragged.concatenate([left, right]), left_failures + moved
