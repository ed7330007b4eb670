"""Everybody runs, the slow ones on a part, variations at one size."""

from __future__ import annotations

from benchmarks.plan import Plan

ALL = ["oblong", "oblong-1", "oblong-2", "beam", "beam-2", "datasets", "datasets-2", "tokenizers", "gigatoken"]
FULL = Plan(["prose", "code"], [80, 800, 8000], 80, ["wordpiece", "bpe"], ALL, ["parquet", "tfrecord"])


def sizes(contestant, format_name="parquet", corpus="prose", plan=FULL):
    return [
        case.megabytes
        for case in plan.cases()
        if (case.corpus, case.kind, case.contestant, case.format) == (corpus, "bpe", contestant, format_name)
    ]


def test_oblong_runs_at_every_size_and_its_variations_at_one():
    assert sizes("oblong") == [80, 800, 8000]
    assert sizes("oblong", "tfrecord") == [800]
    assert sizes("oblong-1") == sizes("oblong-2") == [800]


def test_slow_ones_run_on_the_part_and_jobs_on_an_eighth_of_it_too():
    assert sizes("beam") == sizes("beam", "tfrecord") == sizes("datasets-2") == [10, 80]
    assert sizes("tokenizers", "none") == [80]
    assert sizes("beam", plan=FULL._replace(sizes=[2, 10], part=2)) == [0.5, 2]  # no less: its batches would not fill
    assert sizes("beam", plan=FULL._replace(sizes=[0.5, 10], part=0.5)) == [0.5]
    assert sizes("beam", plan=FULL._replace(sizes=[10, 50, 800])) == [10, 50, 80]
    assert sizes("beam", plan=FULL._replace(sizes=[10], part=80)) == [10]


def test_second_corpus_is_compared_on_the_part_alone():
    assert sizes("oblong", corpus="code") == sizes("tokenizers", "none", "code") == [80]
    assert sizes("oblong", "tfrecord", "code") == sizes("oblong-2", corpus="code") == sizes("beam", corpus="code") == []


def test_gigatoken_takes_byte_level_bpe_alone():
    assert {case.kind for case in FULL.cases() if case.contestant == "gigatoken"} == {"bpe"}


def test_formats_and_contestants_can_be_chosen():
    plan = FULL._replace(formats=["parquet"], contestants=["tokenizers", "beam"])
    assert {(case.contestant, case.format) for case in plan.cases()} == {("tokenizers", "none"), ("beam", "parquet")}


def test_corpora_that_are_needed_are_those_that_somebody_runs_on():
    assert FULL.corpus_sizes() == [("code", 80), ("prose", 10), ("prose", 80), ("prose", 800), ("prose", 8000)]
    assert FULL._replace(contestants=["beam"]).corpus_sizes() == [("prose", 10), ("prose", 80)]


def test_smaller_corpora_come_first():
    megabytes = [case.megabytes for case in FULL.cases()]
    assert megabytes == sorted(megabytes)
