"""An output that is not the right one is found, whatever is wrong with it, and named; a right one is not."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.agreement import Agreement, reference
from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.digests import Digests
from benchmarks.errors import BenchmarkError
from benchmarks.plan import Plan
from benchmarks.run import run
from tests.benchmarks import an_answer

PLAN = Plan(["code"], [1], 1, ["bpe"], ["an answer"], ["parquet"])

SAID = {
    "token": "1 of 200 rows are not those of tokenizers; the first is row 150",
    "order": "1 of 200 rows are not those of tokenizers; the first is row 150",
    "mask": "row 150: attention_mask [0, 1, 1",
    "padding": "row 150: attention_mask [1, 1, 1",
    "missing": "199 rows written of 200: row 150 is missing",
    "twice": "201 rows written of 200: row 150 is there 2 times",
    "longer": "1 of 200 rows are not those of tokenizers; the first is row 150",
    "crash": "exit code 1; the end of what it said:\nout of cheese",
    "nothing": "no *.parquet in it",
}


@pytest.fixture
def answering(monkeypatch, work, corpus, tokenizer, code_source):
    """Runs the benchmark with one contestant that answers so."""

    def answer(wrong):
        def command(job):
            return [sys.executable, an_answer.__file__, json.dumps(asdict(job)), wrong]

        monkeypatch.setitem(CONTESTANTS, "an answer", Contestant("An answer", "none", command=command))
        return run(PLAN, {"code": code_source}, work, 1, 400)

    return answer


def test_right_answer_agrees_and_its_tokens_are_counted(answering, corpus, tokenizer):
    (one,) = answering("right").measurements
    rows = an_answer.answer(list(map(str, corpus.files)), str(tokenizer), 512, 0)
    assert (one.rows, one.checked) == (200, 200)
    assert one.tokens == sum(sum(row["attention_mask"]) for row in rows)
    assert one.cells == sum(len(row["input_ids"]) for row in rows)
    assert one.output_bytes > 1000
    assert one.seconds > 0.1
    assert one.memory > 20e6


@pytest.mark.parametrize("wrong", an_answer.WRONG)
def test_one_wrong_thing_stops_the_benchmark_before_it_tells_a_time(answering, wrong):
    with pytest.raises(BenchmarkError) as error:
        answering(wrong)
    assert str(error.value).startswith("an answer, parquet, bpe, code 1 MB: ") or wrong in (
        "mask",
        "padding",
        "nothing",
    )
    assert SAID[wrong] in str(error.value)


def summary(*rows, start=0):
    """Rows of tokens, numbered from `start`."""
    digests = Digests()
    lengths = np.array([len(row) for row in rows], np.int64)
    digests.add(np.arange(start, start + len(rows)), np.concatenate(rows).astype(np.int64), lengths)
    return digests.summary()


def test_rows_behind_the_reference_are_compared_with_the_first_output():
    agreement = Agreement(summary([1, 2]), 3)
    assert agreement.check("one", summary([1, 2], [3], [4, 5]))[:3] == (3, 1, 5)
    assert agreement.check("two", summary([1, 2], [3], [4, 5])).rows == 3
    with pytest.raises(BenchmarkError, match=r"^three: 1 of 3 rows are not those of one; the first is row 2: 3 tokens"):
        agreement.check("three", summary([1, 2], [3], [4, 5, 6]))


def test_a_row_of_no_corpus_is_named():
    with pytest.raises(BenchmarkError, match="3 rows written of 2: row 2 is of no corpus"):
        Agreement(summary([1]), 2).check("one", summary([1], [2], [3]))


def test_reference_is_what_the_library_gives_text_by_text(tmp_path, corpus, tokenizer):
    files = list(map(str, corpus.files))
    found = reference(files, tokenizer, 100, 50, tmp_path)
    rows = an_answer.answer(files, str(tokenizer), 100, 0)[:50]
    expected = summary(*([i for i, m in zip(r["input_ids"], r["attention_mask"], strict=True) if m] for r in rows))
    assert found.lengths.max() == 100
    assert np.array_equal(found.digests, expected.digests)
    assert np.array_equal(found.ids, np.arange(50))
