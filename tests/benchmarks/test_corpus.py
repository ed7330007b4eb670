"""Corpora are the same each time, begin alike at every size, and never run out of new words."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from benchmarks import corpus as corpora
from benchmarks.corpus import Source, code, growth, make_corpus, own, prose, sources
from benchmarks.errors import BenchmarkError
from benchmarks.words import Words


def content(corpus):
    return b"".join(file.read_bytes() for file in corpus.files)


@pytest.fixture
def source(words):
    return Source("words", lambda: prose(words))


def test_smaller_corpus_is_the_beginning_of_a_larger_one(tmp_path, source):
    small, large = (make_corpus("prose", size, tmp_path, source) for size in (0.3, 1))
    assert content(large).startswith(content(small))
    assert 300_000 <= small.bytes == len(content(small)) < 310_000
    rows = [json.loads(line) for line in content(large).splitlines()]
    assert [row["id"] for row in rows] == list(range(large.rows))


def test_corpus_is_found_again_and_one_that_was_cut_short_is_made_again(tmp_path, source):
    first = make_corpus("prose", 0.1, tmp_path, source)
    written = content(first)
    first.files[0].write_bytes(b"")
    assert make_corpus("prose", 0.1, tmp_path, source).files[0].read_bytes() == b""  # found, not made
    (first.folder / "about.json").unlink()
    assert content(make_corpus("prose", 0.1, tmp_path, source)) == written


def test_corpus_of_other_texts_is_another(tmp_path, source):
    one = make_corpus("prose", 0.1, tmp_path, source)
    other = make_corpus("prose", 0.1, tmp_path, source._replace(recipe="other"))
    assert one.folder != other.folder


def test_large_corpus_is_several_files(tmp_path, source, monkeypatch):
    whole = content(make_corpus("prose", 0.3, tmp_path / "one", source))
    monkeypatch.setattr(corpora, "FILE_BYTES", 100_000)
    parts = make_corpus("prose", 0.3, tmp_path / "parts", source)
    assert len(parts.files) == 3
    assert content(parts) == whole


def test_new_words_keep_coming_as_heaps_law_says():
    counts = np.array([*(1000 // np.arange(1, 400)), *[1] * 800], np.int64)
    letters = np.random.default_rng(1).choice(list("abcdefghijklmnopqrstuvwxyz"), (len(counts), 12))
    words = Words(tuple(map("".join, letters)), counts)
    seen, points = set(), []
    count = 0
    for text in islice(prose(words), 12_000):
        drawn = text.split()
        count += len(drawn)
        seen.update(drawn)
        points.append([len(points), count, len(seen)])
    assert points[-1][2] > 20 * len(counts)
    assert growth([points[3000], points[-1]]) == pytest.approx(words.exponent, abs=0.08)


def test_words_that_were_counted_come_as_often_less_what_new_words_take(words):
    drawn = [word for text in islice(prose(words), 2_000) for word in text.split()]
    share = drawn.count("the") / len(drawn)
    weights = words.counts - words.exponent  # new words take their room from all alike
    expected = weights[words.known.index("the")] / weights.sum() * (1 - words.newness)
    assert share == pytest.approx(expected, rel=0.05)


def test_documents_have_lines_and_lengths_of_many_kinds(words):
    texts = list(islice(prose(words), 1_000))
    lengths = [len(text.split()) for text in texts]
    assert 5 <= min(lengths) < 20
    assert 80 < np.median(lengths) < 125
    assert max(lengths) > 500
    assert any("\n" in text for text in texts)
    assert all(text == text.strip() for text in texts)


def test_code_is_that_of_the_standard_library_and_its_second_round_has_new_names(monkeypatch):
    files = [
        ("a.py", "import os\n\ndef alpha_beta(gamma):\n    return os\n"),
        ("b.py", "import os\n\nclass Delta: 0\n"),
    ]
    monkeypatch.setattr(corpora, "library_sources", lambda left_out: iter(files))
    monkeypatch.setattr(corpora, "MEDIAN_CODE", 10_000)
    first = list(islice(code(), 6))
    assert first[:2] == [source for _, source in files]
    assert len(set(first)) == 6
    assert all(text.startswith("import os\n") and "alpha_beta" not in text for text in first[2:])  # `import` in both


def test_machine_has_code_and_prose(tmp_path):
    found = sources(["prose", "code"], None, tmp_path)
    assert len(next(found["code"].texts())) > 100
    texts = " ".join(islice(found["prose"].texts(), 1_000)).split()
    assert len(set(texts)) > 15_000  # a cache gets no presents
    assert 0.01 < texts.count("the") / len(texts) < 0.1


def test_own_texts_are_rows_or_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one", "x": 1}\n\n{"text": ""}\n{"text": "two\\nlines"}\n')
    (tmp_path / "b.txt").write_text("three\n\n  four\n")
    assert list(own(tmp_path)) == ["one", "two\nlines", "three", "four"]
    assert list(own(tmp_path / "b.txt")) == ["three", "four"]
    assert list(sources([], tmp_path / "a.jsonl", tmp_path)) == ["a"]


def test_own_corpus_that_changed_is_another(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    before = sources([], tmp_path / "a.txt", tmp_path)["a"].recipe
    (tmp_path / "a.txt").write_text("one two\n")
    assert sources([], tmp_path / "a.txt", tmp_path)["a"].recipe != before


def test_own_rows_without_a_text_are_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "one"}\n')
    with pytest.raises(BenchmarkError, match="a row without a string in 'text'"):
        list(own(tmp_path))


def test_own_corpus_may_be_smaller_than_what_was_asked_for(tmp_path):
    made = make_corpus("own", 5, tmp_path, Source("own", lambda: iter(["a b", "b c d"])))
    assert (made.rows, made.words) == (2, [[8, 5, 4]])
