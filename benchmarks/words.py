"""Words as the machine's own texts use them, and ever new ones: what prose is made of.

Counted are the docstrings of Python's standard library, its reference manual, and what the installed packages
say of themselves. Known words are drawn nearly as often as they were counted. New ones follow two laws that hold
for real text: a text of n words has some n^b different ones (Heaps), with b the share of words seen once among all
different ones; and the next word is a new one with the probability that a counted word was seen once (Good and
Turing). Without new words a corpus would flatter whoever remembers.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import re
import sysconfig
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

LONGEST = 80  # characters of a word; what is longer is a ruler or a link
LARGEST_RANK = 2.0**62
PARAGRAPH = 80  # words between two ends of a line

NOT_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test"}


def library_sources(leave_out: frozenset[str] | set[str] = frozenset(NOT_LIBRARY)) -> Iterator[tuple[Path, str]]:
    """Reads the sources of Python's standard library, in the order of their names.

    Args:
        leave_out: Names of folders that are left out.

    Yields:
        A path and its content; those that are not UTF-8 are left out.
    """
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py"), key=lambda path: path.relative_to(library).parts):
        if leave_out.isdisjoint(path.relative_to(library).parts):
            try:
                yield path, path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue


def machine_texts() -> Iterator[str]:
    """Reads the docstrings of the standard library, Python's reference manual and the packages' descriptions."""
    from pydoc_data.topics import topics

    for _, source in library_sources():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # escapes that the library itself has not mended
                tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield ast.get_docstring(node) or ""
    yield from topics.values()
    for package in importlib.metadata.distributions():
        yield package.read_text("METADATA") or ""


class Words(NamedTuple):
    """Words and how often they come.

    Attributes:
        known: The words, most frequent first.
        counts: How often each was counted, int64 [words].
    """

    known: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def rare(self) -> tuple[str, ...]:
        """The words that were counted once; new words are spelled from them."""
        return self.known[int((self.counts > 1).sum()) :]

    @property
    def newness(self) -> float:
        """Probability that the next word is none of the known ones: the share of words counted once."""
        return len(self.rare) / int(self.counts.sum())

    @property
    def exponent(self) -> float:
        """Heaps' exponent: words counted once among all that differ; kept between 0.3 and 0.9."""
        return min(0.9, max(0.3, len(self.rare) / len(self.known)))

    @property
    def sha256(self) -> str:
        """Fingerprint of the words and their counts: corpora of two machines are equal where this is."""
        return hashlib.sha256(json.dumps([self.known, self.counts.tolist()]).encode()).hexdigest()

    def draw(self, rng: np.random.Generator, count: int) -> tuple[pa.Array, NDArray[np.int64]]:
        """Draws words, known and new.

        Args:
            rng: The source of chance.
            count: How many.

        Returns:
            Different words, and which of them each drawn one is, int64 [count].
        """
        # What is taken off every count is the room of the new words, as in Pitman and Yor's process.
        share = np.cumsum(self.counts - self.exponent) / (self.counts - self.exponent).sum()
        drawn = np.searchsorted(share, rng.random(count), side="right").clip(max=len(share) - 1)  # int64 [count]
        new = np.flatnonzero(rng.random(count) < self.newness)
        # Zipf's law with exponent 1 / b goes on behind the known words; without an end, so that Heaps' law holds.
        power = self.exponent / (1 - self.exponent)
        ranks = np.minimum(len(self.known) * (1 - rng.random(len(new))) ** -power, LARGEST_RANK).astype(np.int64)
        different, which = np.unique(ranks, return_inverse=True)
        drawn[new] = len(self.known) + which
        return pa.array([*self.known, *spell(different, self.rare)], pa.string()), drawn


def spell(ranks: NDArray[np.int64], rare: Sequence[str]) -> list[str]:
    """Spells new words: the head of one rare word, the tail of another, and other digits.

    Args:
        ranks: What each is to be told apart by, int64 [words].
        rare: Rare words.

    Returns:
        A word for each; the same for the same rank, whatever else is spelled.

    >>> spell(np.array([7, 7, 8]), ["alpha", "1999,", "(x)"])
    ['965pha', '965pha', '878x)']
    """
    mixed = mix(ranks.astype(np.uint64))
    size = np.uint64(len(rare))
    heads, tails = (mixed % size).tolist(), (mixed // size % size).tolist()
    found = []
    for head, tail, number in zip(heads, tails, mixed.tolist(), strict=True):
        word = rare[head][: (len(rare[head]) + 1) // 2] + rare[tail][len(rare[tail]) // 2 :]
        found.append(re.sub(r"\d", _Digits(number), word) if any(map(str.isdigit, word)) else word)
    return found


class _Digits:
    """Gives one digit of a number after the other."""

    def __init__(self, number: int) -> None:
        self._left = number >> 20

    def __call__(self, match: re.Match[str]) -> str:
        self._left, digit = divmod(self._left, 10)
        return str(digit)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mixes the bits of numbers: the end of splitmix64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.

    >>> mix(np.array([0, 1], np.uint64)).tolist()
    [0, 6238072747940578789]
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def count_words(texts: Iterator[str]) -> Words:
    """Counts words: what stands between blanks, its punctuation with it.

    >>> count_words(iter(["to be, or", "not to be"])).known
    ('to', 'be', 'be,', 'not', 'or')
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
    ranked = sorted((word for word in counts if len(word) <= LONGEST), key=lambda word: (-counts[word], word))
    return Words(tuple(ranked), np.array([counts[word] for word in ranked], np.int64))


def machine_words(cache: Path) -> Words:
    """Counts the words of this machine, once.

    Args:
        cache: A JSON file that keeps them.

    Returns:
        The words.
    """
    if not cache.exists():
        words = count_words(machine_texts())
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps([words.known, words.counts.tolist()]))
    known, counts = json.loads(cache.read_text())
    return Words(tuple(known), np.array(counts, np.int64))
