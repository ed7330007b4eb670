"""Targets are judged by the figures of one run, and left open where a run does not tell."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure
from benchmarks.plan import Case, Plan
from benchmarks.targets import Target, nonlinearity, targets

PLAN = Plan(["prose"], [80, 800, 8000], 80, ["wordpiece"], ["oblong"], ["parquet", "tfrecord"])


def figure(contestant, seconds, megabytes=800, format_name="parquet", memory=1_000_000_000):
    return Figure(Case("prose", megabytes, "wordpiece", contestant, format_name), seconds, 0, memory, megabytes, 0)


FIGURES = [
    figure("oblong", 8, 80, memory=900_000_000),
    figure("oblong", 40),
    figure("oblong", 372, 8000, memory=1_300_000_000),
    figure("oblong", 70, format_name="tfrecord"),
    figure("oblong-1", 66),
    figure("oblong-2", 33),
    figure("tokenizers", 400, format_name="none"),
    figure("datasets", 640),
    figure("datasets-2", 560),
    figure("beam", 1200),
    figure("beam-2", 600),
]


def reached(plan=PLAN, found=FIGURES):
    return [(target.reached, target.met) for target in targets(plan, found)]


def test_every_target_has_the_value_of_the_run():
    values = [10, 14, 30, 1.75, 2, 1.3, 1.3]
    assert [value for value, _ in reached()][:-1] == pytest.approx(values)
    assert [met for _, met in reached()] == [True, False, True, False, True, True, False, True]


def test_straight_line_is_judged_by_what_a_further_byte_takes():
    slope, steeper = 32 / 720, 332 / 7200
    assert reached()[-1][0] == pytest.approx((steeper / slope - 1) * 100)
    assert nonlinearity([(1, 11), (2, 12), (4, 14)]) == 0  # ten seconds of start are no matter
    assert nonlinearity([(1, 1), (2, 2), (4, 6)]) == 1
    assert nonlinearity([(1, 2), (2, 2), (4, 6)]) == float("inf")
    assert nonlinearity([(1, 1), (2, 2)]) is None


def test_what_a_run_does_not_tell_is_left_open():
    small = PLAN._replace(sizes=[80])
    assert reached(small, [figure("oblong", 8, 80)]) == [(None, None)] * 5 + [(1, True)] + [(None, None)] * 2
    assert targets(small, [])[0].row().endswith("| not measured | |")


def test_rows_say_what_was_wanted_and_what_was_reached():
    assert Target("a", 1.5, False, 1.75).row() == "| a | at most 1.5 times | 1.75 times | no |"
    assert Target("b", 2, False, 1.25, "GB").row() == "| b | at most 2 GB | 1.25 GB | yes |"
    assert Target("c", 10, True, 10.0).met
