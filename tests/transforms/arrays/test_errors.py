"""Errors as the user meets them: one line each, with the place and the remedy."""

from __future__ import annotations

import pytest

from transforms.arrays.errors import ConfigError, JobError, OblongError, at_most_one_of_each, one_of, suggest


@pytest.mark.parametrize(
    ("word", "choices", "clause"),
    [
        ("longest_frist", ["longest_first", "only_first"], "did you mean longest_first?"),
        ("zzz", ["b", "a"], "one of a, b"),
        ("", ["only"], "one of only"),
    ],
)
def test_the_closest_choice_is_suggested_else_all_of_them(word, choices, clause):
    assert suggest(word, choices) == clause


def test_a_value_that_is_not_of_the_choices_is_refused_with_its_place_and_the_closest_one():
    one_of("right", ("right", "left"), "pad.side")
    with pytest.raises(ConfigError) as error:
        one_of("rihgt", ("right", "left"), "pad.side")
    assert str(error.value) == "pad.side: 'rihgt' is not known; did you mean right?"


def test_choices_may_be_an_iterator_that_can_be_read_once():
    with pytest.raises(ConfigError, match="one of a, b"):
        one_of(3, iter(["a", "b"]), "x.y")


def test_a_name_written_twice_is_refused():
    at_most_one_of_each(["a", "b"], "write.columns")
    at_most_one_of_each([], "write.columns")
    with pytest.raises(ConfigError) as error:
        at_most_one_of_each(["a", "b", "a"], "write.columns")
    assert str(error.value) == "write.columns: 'a' is named twice"


def test_errors_are_of_two_kinds_and_can_be_caught_as_the_usual_ones():
    assert issubclass(ConfigError, OblongError)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(JobError, OblongError)
    assert issubclass(JobError, RuntimeError)
    assert not issubclass(JobError, ConfigError)
