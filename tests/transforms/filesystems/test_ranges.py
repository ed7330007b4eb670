import io

import pytest

from transforms.arrays.errors import StoreError
from transforms.filesystems.local import Local
from transforms.filesystems.patience import CutShort, Patience
from transforms.filesystems.ranges import Pinned, Ranges, RangeStore


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


class Shelf(RangeStore, Local):
    """A file system of one file, whose answers are told in advance; what is left over of them is not asked for."""

    def __init__(self, *answers, data=b"0123456789", checksum=None):
        self.patience = Patience(1, 5)
        self.answers, self.data, self.checksum = list(answers), data, checksum

    def pin(self, path):
        return Pinned(len(self.data), None, self.checksum) if path == "there" else None

    def fetch(self, path, start, stop, pinned):
        answer = self.answers.pop(0) if self.answers else self.data[start:stop]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("transforms.filesystems.patience.FIRST_WAIT", 0.01)


@pytest.mark.parametrize("answer", [b"", b"01234", b"0123456789x", CutShort("broken off")])
def test_stretch_that_comes_short_is_asked_for_again(answer):
    store = Shelf(answer)
    with store.open("there") as stream:
        assert stream.read() == b"0123456789"
    assert store.answers == []
    store.answers = [answer, answer]
    assert store.read_range("there", 2, 3) == b"234"
    assert store.answers == []


def test_stretch_that_stays_short_is_an_error_and_not_the_end_of_the_file():
    store = Shelf(*[b"01234"] * 100)
    store.patience = Patience(1, 0.05)
    with store.open("there") as stream, pytest.raises(CutShort, match=r"^5 bytes came of 10, from byte 0 on$"):
        stream.read()


def test_range_may_reach_beyond_the_end():
    assert Shelf().read_range("there", 8, 10) == b"89"
    assert Shelf(b"8").read_range("there", 8, 10) == b"89"


def test_file_that_is_not_there_is_an_error():
    for read in (lambda: Shelf().open("none"), lambda: Shelf(b"").read_range("none", 0, 3)):
        with pytest.raises(FileNotFoundError, match=r"^there is no file none$"):
            read()


@pytest.mark.parametrize(("name", "right"), [("crc32c", "KAwGng=="), ("crc32", "poTHxg==")])
def test_whole_file_is_compared_with_its_checksum(name, right):
    with Shelf(checksum=(name, right)).open("there") as stream:
        assert stream.read(4) + stream.read() == b"0123456789"
    message = rf"^there was damaged on its way: its {name} is {right}, and what came has \S+==; run the job again$"
    with (
        Shelf(b"0123456780", checksum=(name, right)).open("there") as stream,
        pytest.raises(StoreError, match=message) as raised,
    ):
        stream.read()
    assert raised.value.passing


def test_file_that_is_read_in_parts_has_no_checksum_to_compare():
    with Shelf(checksum=("crc32", "wrong")).open("there") as stream:
        stream.seek(3)
        assert stream.read() == b"3456789"
