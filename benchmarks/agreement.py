"""Whether an output is the right one: row by row against what `tokenizers` itself gives."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from benchmarks import digests
from benchmarks.errors import BenchmarkError
from benchmarks.texts import slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.digests import Summary


def reference(files: Sequence[str], tokenizer: Path, max_length: int, rows: int, cache: Path) -> Summary:
    """Encodes the first rows of a corpus text by text, as the library documents it.

    Args:
        files: The corpus.
        tokenizer: The tokenizer's folder.
        max_length: Where rows are cut, special tokens included.
        rows: How many rows.
        cache: A folder that keeps what was made.

    Returns:
        The rows by id.
    """
    if not (cache / digests.FILE).exists():
        cache.mkdir(parents=True, exist_ok=True)
        library = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
        library.no_padding()
        library.enable_truncation(max_length)
        found = digests.Digests()
        for ids, texts in slices(files, rows):
            encodings = library.encode_batch(texts)
            lengths = np.array([len(encoding) for encoding in encodings], np.int64)
            tokens = np.fromiter(chain.from_iterable(e.ids for e in encodings), np.int64, int(lengths.sum()))
            found.add(ids, tokens, lengths)
        found.save(str(cache))
    return digests.load(cache)


class Verdict(NamedTuple):
    """What was compared.

    Attributes:
        rows: Of the output, all of them there and there once.
        checked: Of these, compared with `tokenizers` one by one.
        tokens: Of the output, without padding.
        cells: Tokens and padding.
    """

    rows: int
    checked: int
    tokens: int
    cells: int


class Agreement:
    """Compares outputs of one corpus and one tokenizer.

    Rows beyond the reference are compared with those of the first output that came.

    Args:
        expected: The first rows of the corpus, by the library itself.
        rows: Rows of the corpus.
    """

    def __init__(self, expected: Summary, rows: int) -> None:
        self._expected, self._rows = expected, rows
        self._first: tuple[str, Summary] | None = None

    def check(self, name: str, found: Summary) -> Verdict:
        """Compares an output.

        Args:
            name: Whose it is.
            found: Its rows.

        Returns:
            What was compared.

        Raises:
            BenchmarkError: A row is missing, is there twice, or differs; the message names it.
        """
        if not np.array_equal(found.ids, np.arange(self._rows)):
            raise BenchmarkError(f"{name}: {_missing(found.ids, self._rows)}")
        _same(name, found, "tokenizers", self._expected)
        if self._first is None:
            self._first = (name, found)
        _same(name, found, *self._first)
        return Verdict(found.rows, self._expected.rows, found.tokens, found.cells)


def _missing(ids: np.ndarray, rows: int) -> str:
    there, times = np.unique(ids, return_counts=True)
    twice, lost = there[times > 1], np.setdiff1d(np.arange(rows), there)
    told = [f"row {lost[0]} is missing"] if len(lost) else []
    told += [f"row {twice[0]} is there {times[times > 1][0]} times"] if len(twice) else []
    return f"{len(ids):,} rows written of {rows:,}: {' and '.join(told) or f'row {there[-1]} is of no corpus'}"


def _same(name: str, found: Summary, of: str, expected: Summary) -> None:
    rows = min(expected.rows, found.rows)
    wrong = np.flatnonzero(found.digests[:rows] != expected.digests[:rows])
    if len(wrong):
        first = wrong[0]
        raise BenchmarkError(
            f"{name}: {len(wrong):,} of {rows:,} rows are not those of {of}; the first is row {first}: "
            f"{found.lengths[first]} tokens, expected {expected.lengths[first]}"
        )
