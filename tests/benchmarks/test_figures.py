"""What a part says of the whole, and what medians say of repeats."""

from __future__ import annotations

import pytest

from benchmarks.figures import figures, find, line
from benchmarks.plan import Case, Plan
from benchmarks.run import Measurement

PLAN = Plan(["prose"], [8, 80], 8, ["bpe"], ["oblong", "beam", "tokenizers"], ["parquet"])
SIZES = {("prose", 1): 1_000_000, ("prose", 8): 8_000_000, ("prose", 80): 80_000_000}


def measured(contestant, megabytes=8, *, seconds=10.0, cpu=12.0, memory=100, calls=None, format_name="parquet"):
    """A measurement of prose with BPE; 1,000 tokens a MB."""
    case = Case("prose", megabytes, "bpe", contestant, format_name)
    counts = (100 * megabytes, 100, 1000 * megabytes, 1200 * megabytes, 5)
    return Measurement(case, megabytes * 1_000_000, *counts, seconds, cpu, memory, 1, calls)


BEAM = [measured("beam", 1, seconds=3.0, cpu=5.0, memory=70), measured("beam")]
BARE = measured("tokenizers", calls=4.0, format_name="none")


def test_slow_ones_get_a_figure_for_each_size_and_it_says_what_was_timed():
    found = figures(PLAN, [measured("oblong"), measured("oblong", 80, seconds=30.0), *BEAM, BARE], SIZES)
    beam = find(found, "prose", 80, "bpe", "beam", "parquet")
    assert beam.seconds == pytest.approx(2 + 80)  # two seconds of start, one for each MB
    assert beam.cpu == pytest.approx(4 + 80)
    assert (beam.timed_on, beam.tokens, beam.memory) == (8, 80_000, 100)
    assert find(found, "prose", 8, "bpe", "beam", "parquet").timed_on is None
    assert find(found, "prose", 80, "bpe", "oblong", "parquet")[1:3] == (30, 12)
    assert len(found) == 7


def test_of_those_who_only_encode_the_calls_alone_count_and_have_no_start():
    small = measured("tokenizers", 1, calls=3.0, format_name="none")
    found = figures(PLAN, [small, BARE], SIZES)
    assert find(found, "prose", 8, "bpe", "tokenizers", "none").seconds == 4
    assert find(found, "prose", 80, "bpe", "tokenizers", "none").seconds == 40


def test_what_is_timed_at_a_size_is_not_scaled_to_it():
    found = figures(PLAN._replace(part=80), [*BEAM, measured("beam", 80, seconds=50.0)], SIZES)
    assert find(found, "prose", 80, "bpe", "beam", "parquet")[1] == 50
    assert all(one.timed_on is None for one in found)


def test_second_corpus_is_not_scaled():
    one = measured("tokenizers", calls=4.0, format_name="none")
    found = figures(PLAN, [one._replace(case=one.case._replace(corpus="code"))], SIZES)
    assert len(found) == 1


def test_line_goes_through_the_last_two_points():
    assert line([(1, 100), (2, 3), (4, 5)], 10) == 11
    assert line([(2, 3), (4, 5)], 4) == 5


def test_repeats_give_their_median_and_their_highest_memory():
    seconds = [(9.0, 100), (30.0, 90), (10.0, 300)]
    found = figures(PLAN, [measured("oblong", seconds=s, memory=m) for s, m in seconds], SIZES)
    assert [(one.seconds, one.memory) for one in found] == [(10, 300)]


def test_what_nobody_made_is_not_found():
    assert find([], "prose", 8, "bpe", "oblong", "parquet") is None


def test_size_that_nobody_wrote_is_taken_at_its_word():
    assert figures(PLAN, BEAM, {("prose", 8): 8_000_000})[-1].bytes == 80_000_000
