"""Corpora: JSON Lines with an `id` and a `text`, made in a stream, the same for the same seed and machine.

A smaller corpus is always the beginning of a larger one, so what was timed on a part can be checked row by row.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from benchmarks.errors import BenchmarkError
from benchmarks.words import PARAGRAPH, library_sources, machine_words, spell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from benchmarks.words import Words

MB = 1_000_000
SEED = 0
ROWS_A_BLOCK = 5_000  # some 4 MB of prose
FILE_BYTES = 256 * MB
WORDS_COUNTED = 80 * MB  # characters of a corpus; from there on Heaps' law is known well enough

# Words of a document: half have fewer than 100, one in twenty more than 370.
MEDIAN_WORDS, SPREAD = 100, 0.8
# Characters of a piece of code, cut where a line is blank: half have fewer than 1,200.
MEDIAN_CODE = 1_200


class Corpus(NamedTuple):
    """A corpus on disk.

    Attributes:
        name: "prose", "code", or the name of the user's own.
        megabytes: The size that was asked for.
        folder: Where its *.jsonl are.
        rows: Documents.
        bytes: Of its files.
        words: (characters, words, different words) after 1 MB of text, after each doubling, and at the end of what
            was counted.
    """

    name: str
    megabytes: float
    folder: Path
    rows: int
    bytes: int
    words: list[list[int]]

    @property
    def files(self) -> list[Path]:
        """Its files in order."""
        return sorted(self.folder.glob("*.jsonl"))


def prose(words: Words) -> Iterator[str]:
    """Makes documents of words, without an end."""
    block = 0
    while True:
        rng = np.random.default_rng([SEED, block])
        lengths = rng.lognormal(np.log(MEDIAN_WORDS), SPREAD, ROWS_A_BLOCK).astype(np.int64).clip(min=5)
        different, drawn = words.draw(rng, int(lengths.sum()))
        drawn += len(different) * (rng.random(len(drawn)) < 1 / PARAGRAPH)
        yield from _join(different, drawn, lengths)
        block += 1


def _join(different: pa.Array, drawn: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[str]:
    """Joins words to documents; the second half of the numbers are the same words at the end of a line."""
    import pyarrow.compute as pc

    endings = [pc.binary_join_element_wise(different, "", end) for end in (" ", "\n")]
    taken = pa.concat_arrays(endings).take(pa.array(drawn))
    _, offsets, data = taken.buffers()
    starts = np.frombuffer(offsets, np.int32)[np.append(0, np.cumsum(lengths))]  # int32 [rows + 1]
    texts = pa.StringArray.from_buffers(len(lengths), pa.py_buffer(starts), data)
    for text in texts.to_pylist():
        yield text.rstrip()


IDENTIFIER = re.compile(r"[A-Za-z_]\w{3,}")


def code() -> Iterator[str]:
    """Makes documents of the standard library's sources, without an end.

    From the second time round, names that only one file uses are new names: the sources of another project with
    the same habits. So new names never cease to come.
    """
    sources = [source for _, source in library_sources(frozenset({"site-packages", "dist-packages"}))]
    used = Counter(name for source in sources for name in set(IDENTIFIER.findall(source)))
    rare = sorted(name for name, files in used.items() if files == 1)
    number = {name: i for i, name in enumerate(rare)}
    rng = np.random.default_rng(SEED)
    around = 0
    while True:
        new = rare if around == 0 else spell(np.arange(len(rare)) + around * len(rare), rare)
        for source in sources:
            renamed = IDENTIFIER.sub(lambda m: new[number[m[0]]] if m[0] in number else m[0], source)  # noqa: B023
            yield from _cut(renamed, rng)
        around += 1


def _cut(source: str, rng: np.random.Generator) -> Iterator[str]:
    """Cuts a source at blank lines into pieces of some length."""
    held: list[str] = []
    wanted = rng.lognormal(np.log(MEDIAN_CODE), SPREAD)
    for paragraph in source.split("\n\n"):
        held.append(paragraph)
        if sum(map(len, held)) >= wanted:
            yield "\n\n".join(held)
            held, wanted = [], rng.lognormal(np.log(MEDIAN_CODE), SPREAD)
    if any(paragraph.strip() for paragraph in held):
        yield "\n\n".join(held)


def own(path: Path) -> Iterator[str]:
    """Reads the user's documents: `text` of JSON Lines, or the lines of any other file."""
    for file in _own_files(path):
        with file.open("rb") as lines:
            for line in lines:
                text = _own_text(line, file) if file.suffix == ".jsonl" else line.decode("utf-8", "replace").strip()
                if text:
                    yield text


def _own_files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _own_text(line: bytes, file: Path) -> str | None:
    if not line.strip():
        return None
    row = json.loads(line)
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise BenchmarkError(
            f"{file}: a row without a string in 'text'; the benchmark reads JSON Lines with that column"
        )
    text: str = row["text"]
    return text


def make_corpus(name: str, megabytes: float, work: Path, source: Source) -> Corpus:
    """Writes a corpus, or finds it where an earlier run left it whole.

    Args:
        name: Its name.
        megabytes: Its size on disk in 10^6 bytes; less where the texts end before.
        work: The folder that corpora are kept in.
        source: Makes the documents.

    Returns:
        The corpus.
    """
    folder = work / "corpora" / f"{name}-{source.recipe}-{megabytes:g}MB"
    about = folder / "about.json"
    if not about.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        facts = _write(folder, source.texts(), megabytes * MB)
        about.write_text(json.dumps(facts))  # last: a folder with it is whole
    facts = json.loads(about.read_text())
    return Corpus(name, megabytes, folder, **facts)


def _write(folder: Path, texts: Iterator[str], size: float) -> dict[str, Any]:
    encoder = msgspec.json.Encoder()
    written, rows, part = 0, 0, 0
    counting = Counting()
    text = next(texts, None)
    while text is not None and written < size:
        with (folder / f"part-{part:05d}.jsonl").open("wb") as file:
            begin = written
            while text is not None and written < min(size, begin + FILE_BYTES):
                line = encoder.encode({"id": rows, "text": text}) + b"\n"
                file.write(line)
                written += len(line)
                counting.add(text)
                rows += 1
                text = next(texts, None)
        part += 1
    return {"rows": rows, "bytes": written, "words": counting.finish()}


class Counting:
    """Counts different words as a corpus grows, up to a point: what Heaps' law speaks of.

    >>> counting = Counting()
    >>> counting.add("a rose is a rose")
    >>> counting.finish()
    [[16, 5, 3]]
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._characters = self._words = 0
        self._next = MB
        self._points: list[list[int]] = []

    def add(self, text: str) -> None:
        """Counts a document."""
        if self._characters >= WORDS_COUNTED:
            return
        words = text.split()
        self._seen.update(words)
        self._words += len(words)
        self._characters += len(text)
        if self._characters >= self._next:
            self._point()
            self._next *= 2

    def _point(self) -> None:
        self._points.append([self._characters, self._words, len(self._seen)])

    def finish(self) -> list[list[int]]:
        """Returns the points: characters, words, different words."""
        if not self._points or self._points[-1][0] != self._characters:
            self._point()
        return self._points


def growth(points: list[list[int]]) -> float | None:
    """Heaps' exponent as it was measured between the first and the last point.

    >>> growth([[1, 100, 50], [4, 400, 100]])
    0.5
    """
    if len(points) < 2:
        return None
    (_, words, different), (_, more_words, more_different) = points[0], points[-1]
    return float(np.log(more_different / different) / np.log(more_words / words))


class Source(NamedTuple):
    """Where the texts of a corpus come from.

    Attributes:
        recipe: Fingerprint of all that the texts depend on; what was made by another is not used again.
        texts: Makes the texts, from the first one on, each time it is called.
    """

    recipe: str
    texts: Callable[[], Iterator[str]]


def sources(names: Sequence[str], path: Path | None, work: Path) -> dict[str, Source]:
    """Says where the texts of each corpus come from.

    Args:
        names: Of "prose" and "code"; not looked at where `path` is given.
        path: The user's own file or folder.
        work: The folder where words are kept.

    Returns:
        By name.
    """
    if path is not None:
        seen = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in _own_files(path)]
        return {path.stem or "own": Source(_fingerprint(seen), lambda: own(path))}
    makers = [Path(__file__).read_text("utf-8"), Path(__file__).with_name("words.py").read_text("utf-8"), sys.version]
    words = machine_words(work / f"words-{_fingerprint(makers)}.json")
    made = {
        "prose": Source(_fingerprint([*makers, words.sha256]), lambda: prose(words)),
        "code": Source(_fingerprint(makers), code),
    }
    return {name: made[name] for name in names}


def _fingerprint(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
