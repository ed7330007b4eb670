import io

import pytest

from transforms.arrays.errors import ConfigError
from transforms.filesystems.store import Ranges, fixed_part, held_back, matcher, split


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


@pytest.fixture
def ranges():
    """A file of 100 bytes, and what was asked of it."""
    data, asked = bytes(range(100)), []

    def get(start, stop):
        asked.append((start, stop))
        return data[start:stop]

    return Ranges(100, get), data, asked


def test_stream_asks_for_each_stretch_once(ranges):
    raw, data, asked = ranges
    stream = io.BufferedReader(raw, 40)
    assert stream.read(3) == data[:3]
    assert stream.read(30) == data[3:33]
    assert stream.tell() == 33
    assert stream.read(50) == data[33:83]
    stream.seek(-5, io.SEEK_END)
    assert stream.read() == data[95:]
    assert stream.read() == b""
    assert asked[:2] == [(0, 40), (40, 80)]
    assert len(asked) == 4


def test_whole_file_is_one_request(ranges):
    raw, data, asked = ranges
    assert io.BufferedReader(raw, 40).read() == data
    assert asked == [(0, 100)]


def test_place_behind_the_end_asks_for_nothing(ranges):
    raw, _, asked = ranges
    raw.seek(100)
    assert (raw.read(5), raw.readall(), raw.seek(10, io.SEEK_CUR), raw.tell()) == (b"", b"", 110, 110)
    assert asked == []


def test_file_that_is_held_back_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with held_back() as stream:
        stream.write(b"x")
        assert list(tmp_path.iterdir()) == []
