"""A small corpus and a small tokenizer that tests of the benchmark share."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest

from benchmarks.corpus import Source, code, make_corpus
from benchmarks.tokenizer_kinds import make_tokenizer
from benchmarks.words import count_words

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.corpus import Corpus
    from benchmarks.words import Words

TEXT = "to be or not to be , that is the question : whether it's 1601, or 1602; ((Ham-let)) asked the king . "


@pytest.fixture(scope="session")
def words() -> Words:
    """Some twenty words, half of them seen once."""
    return count_words(iter([TEXT, "the king and the queen"]))


@pytest.fixture(scope="session")
def code_source() -> Source:
    """The first documents of the standard library."""
    texts = list(islice(code(), 200))
    return Source("code", lambda: iter(texts))


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmark's folder."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def corpus(work: Path, code_source: Source) -> Corpus:
    """A corpus of 200 rows."""
    return make_corpus("code", 1, work, code_source)


@pytest.fixture(scope="session")
def tokenizer(work: Path, code_source: Source) -> Path:
    """A byte-level BPE of 400 tokens."""
    return make_tokenizer("bpe", work, code_source.texts, 400)
