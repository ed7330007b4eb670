import pytest

from pipeline.age import parse_age
from transforms.arrays.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("30", 30), ("30s", 30), ("90m", 5400), ("12h", 43200), ("1.5d", 129600), ("2w", 1209600)],
)
def test_ages_are_read(text, seconds):
    assert parse_age(text, "--older-than") == seconds


@pytest.mark.parametrize("text", ["", "soon", "7 d", "-1d", "7y", "1e3", "d"])
def test_what_is_no_age_is_refused_with_its_option(text):
    with pytest.raises(ConfigError, match=r"run.min_age: .* is no age; write e.g. 7d, 12h or 0"):
        parse_age(text, "run.min_age")
