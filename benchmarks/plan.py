"""Which contestant runs on what: every one on something, the slow ones on a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.contestants import CONTESTANTS, NO_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START = 8  # a slow job is also timed on an eighth of the part: what does not grow is its start
SMALLEST = 0.5  # MB: below, batches of 64 may not fill, and then GroupIntoBatches fails on DirectRunner
SIDE_SIZE = 800  # MB: variations and second formats are run at the largest size up to this


class Case(NamedTuple):
    """One thing to time.

    Attributes:
        corpus: Name of the corpus.
        megabytes: Its size.
        kind: Kind of tokenizer.
        contestant: A key of `CONTESTANTS`.
        format: What it writes.
    """

    corpus: str
    megabytes: float
    kind: str
    contestant: str
    format: str

    def __str__(self) -> str:
        writes = "" if self.format == NO_OUTPUT else f", {self.format}"
        return f"{self.contestant}{writes}, {self.kind}, {self.corpus} {self.megabytes:g} MB"


class Plan(NamedTuple):
    """What is to be compared.

    Attributes:
        corpora: Names of corpora; the first at all sizes, further ones on the part alone, by Oblong and those who
            only encode.
        sizes: In MB, rising.
        part: The size in MB that slow contestants are timed on, where a size is larger.
        kinds: Of tokenizers.
        contestants: Keys of `CONTESTANTS`.
        formats: Of "parquet" and "tfrecord".
    """

    corpora: Sequence[str]
    sizes: Sequence[float]
    part: float
    kinds: Sequence[str]
    contestants: Sequence[str]
    formats: Sequence[str]

    @property
    def side_size(self) -> float:
        """The size that variations and second formats are run at."""
        return max((size for size in self.sizes if size <= SIDE_SIZE), default=self.sizes[0])

    def sizes_of(self, corpus: str, contestant: str, format_name: str) -> list[float]:
        """The sizes at which a contestant is really run."""
        who = CONTESTANTS[contestant]
        first_format = format_name == who.formats[0]
        if corpus != self.corpora[0]:
            return [min(self.part, self.sizes[-1])] if first_format and (who.bare or not (who.slow or who.side)) else []
        if who.slow:
            timed = {min(size, self.part) for size in self.sizes}
            start = max(self.part / START, SMALLEST)
            scaled = self.sizes[-1] > self.part > start and len(timed) == 1 and not who.bare
            return sorted(timed | ({start} if scaled else set()))
        return list(self.sizes) if first_format and not who.side else [self.side_size]

    def cases(self) -> Iterator[Case]:
        """Every case, the smaller corpora first."""
        found = [
            Case(corpus, size, kind, contestant, format_name)
            for corpus in self.corpora
            for kind in self.kinds
            for contestant in self.contestants
            if not CONTESTANTS[contestant].kinds or kind in CONTESTANTS[contestant].kinds
            for format_name in CONTESTANTS[contestant].formats
            if format_name == NO_OUTPUT or format_name in self.formats
            for size in self.sizes_of(corpus, contestant, format_name)
        ]
        yield from sorted(found, key=lambda case: case.megabytes)

    def corpus_sizes(self) -> list[tuple[str, float]]:
        """The corpora that have to be made."""
        return sorted({(case.corpus, case.megabytes) for case in self.cases()})
