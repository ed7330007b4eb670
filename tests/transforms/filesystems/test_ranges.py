import io

import pytest

from transforms.filesystems.ranges import Ranges


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
