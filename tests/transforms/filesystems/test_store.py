import pytest

from transforms.arrays.errors import ConfigError
from transforms.filesystems.store import fixed_part, held_back, matcher, split


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gs://b/a/c", ("b", "a/c")),
        ("s3://b/", ("b", "")),
        ("gs://b", ("b", "")),
        ("gs://b/a//c", ("b", "a//c")),
        ("s3://b/new\nline", ("b", "new\nline")),
    ],
)
def test_address_is_split_into_bucket_and_name(path, expected):
    assert split(path) == expected


@pytest.mark.parametrize("path", ["gs://", "gs:///a", "s3:///"])
def test_address_without_a_bucket_is_refused(path):
    with pytest.raises(ConfigError, match=f"^{path} names no bucket$"):
        split(path)


@pytest.mark.parametrize(
    ("pattern", "expected"), [("a/b", "a/b"), ("a/b*", "a/b"), ("a?/*", "a"), ("[a]", ""), ("gs://b/**", "gs://b/")]
)
def test_fixed_part_ends_at_the_first_wildcard(pattern, expected):
    assert fixed_part(pattern) == expected


def test_pattern_that_ends_in_a_slash_means_what_is_behind_it():
    assert matcher("gs://b/a/")("gs://b/a/x")
    assert not matcher("gs://b/a/")("gs://b/a/x/y")


def test_file_that_is_held_back_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with held_back() as stream:
        stream.write(b"x")
        assert list(tmp_path.iterdir()) == []
