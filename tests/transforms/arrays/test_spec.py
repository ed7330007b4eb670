"""The base of the configuration's sections."""

from __future__ import annotations

import msgspec
import pytest

from transforms.arrays.errors import ConfigError
from transforms.arrays.pad import Padding
from transforms.arrays.spec import Spec, at_least


class Section(Spec, frozen=True):
    rows: int = 3

    def __post_init__(self) -> None:
        at_least(self.rows, 1, "section.rows")


@pytest.mark.parametrize("value", [None, 1, 2])
def test_a_number_at_or_above_the_least_passes_and_so_does_none(value):
    at_least(value, 1, "batch.rows")


def test_a_number_below_the_least_is_refused_with_its_place():
    with pytest.raises(ConfigError) as error:
        at_least(0, 1, "batch.rows")
    assert str(error.value) == "batch.rows: 0 is too small; it must be at least 1"


def test_sections_cannot_be_changed():
    with pytest.raises(AttributeError):
        Section().rows = 4


def test_sections_refuse_keys_that_they_do_not_have_and_wrong_types():
    with pytest.raises(msgspec.ValidationError, match="unknown field `row`"):
        msgspec.convert({"row": 1}, Section)
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$\.rows`"):
        msgspec.convert({"rows": "1"}, Section)


@pytest.mark.parametrize("make", [lambda: Section(rows=0), lambda: msgspec.structs.replace(Section(), rows=0)])
def test_sections_are_checked_whichever_way_they_are_made(make):
    with pytest.raises(ConfigError, match=r"^section\.rows: 0 is too small"):
        make()


def test_sections_are_equal_where_their_values_are_and_can_be_read_from_yaml_s_mappings():
    assert msgspec.convert({"to": True, "multiple_of": 8}, Padding) == Padding(to=True, multiple_of=8)
    assert hash(Padding()) == hash(Padding())
