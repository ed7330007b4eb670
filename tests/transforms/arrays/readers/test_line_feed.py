"""Lines handed out one by one: none is lost, and those of a row can be had again as they stood in the file."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import BOM, Trickle, lines_of
from transforms.arrays.dead_letters import RAW_BYTES
from transforms.arrays.readers.line_feed import TOO_LONG, LineFeed

parts = st.sampled_from([b"a", b"bc", b"\n", b"\n", b"\r\n", b"\r", b'"', "é".encode(), b"\xff", BOM, b" "])
files = st.lists(parts, max_size=15).map(b"".join)
steps = st.sampled_from([None, 1, 2, 5])


def feed_of(data, step=None, limit=1000):
    return LineFeed(io.BytesIO(data) if step is None else Trickle(data, step), limit)


def spelled(line):
    """A line as a parser gets it, without its end."""
    return line.decode("utf-8", "surrogateescape")


@given(files, steps)
@example(b"a\r", None)
@example(BOM, 1)
@example(BOM + b"a\r\nb", 2)
def test_every_line_is_handed_out_once_with_an_end(data, step):
    found = list(feed_of(data, step))
    for line, (_, expected) in zip(found, lines_of(data), strict=True):
        assert line in (spelled(expected) + "\n", spelled(expected) + "\r\n")
    # Whoever joins them has the file again, but for a BOM and the end of its last line.
    content = spelled(b"" if data == BOM else data.removeprefix(BOM))
    assert "".join(found).startswith(content)
    assert "".join(found)[len(content) :] in ("", "\n", "\r\n")


@given(files, st.integers(1, 4), steps)
def test_lines_of_a_row_come_back_as_they_stood_but_for_the_last_one_s_end(data, count, step):
    feed = feed_of(data, step)
    lines = lines_of(data)
    for start in range(0, len(lines), count):
        row = lines[start : start + count]
        for _ in row:
            next(feed)
        place, last = row[0][0], row[-1]
        first = data[place : last[0]].removeprefix(BOM if place == 0 else b"")
        assert feed.take_raw() == first + last[1]
    assert feed.take_raw() == b""
    assert not feed.has_line()
    with pytest.raises(StopIteration):
        next(feed)


def test_no_line_is_left_where_there_was_none():
    for data in (b"", BOM):
        feed = feed_of(data)
        assert (feed.has_line(), list(feed), feed.take_raw()) == (False, [], b"")
        assert feed.left() is None


@pytest.mark.parametrize("step", [None, 3])
def test_line_above_the_limit_is_passed_over_in_its_place_and_its_beginning_kept(step):
    data = b"a\n" + b"x" * 11 + b"\nb\n" + b"y" * 12 + b"\r\nc"
    feed = feed_of(data, step, limit=10)
    assert [(line, feed.take_raw()) for line in feed] == [
        ("a\n", b"a"),
        (TOO_LONG + "\n", b"x" * 11),
        ("b\n", b"b"),
        (TOO_LONG + "\n", b"y" * 12),
        ("c\n", b"c"),
    ]


def test_of_a_line_longer_than_a_dead_letter_its_beginning_is_kept():
    data = b"x" * (RAW_BYTES + 100) + b"\nb\n"
    for step in (None, 5000):
        feed = feed_of(data, step, limit=10)
        assert next(feed) == TOO_LONG + "\n"
        assert feed.take_raw() == b"x" * (RAW_BYTES + 1)
        assert list(feed) == ["b\n"]


def test_no_bytes_of_a_file_are_taken_for_a_line_that_was_passed_over():
    feed = feed_of(TOO_LONG.encode("utf-8", "surrogatepass") + b"\n" + bytes(range(128, 256)) + b"\n")
    assert not any(TOO_LONG in line for line in feed)


def test_lines_that_are_left_are_those_not_handed_out_yet():
    feed = feed_of(b"a\nbc\n\nd\n")
    assert feed.left() is None  # before a block is begun
    assert feed.has_line()
    assert next(feed) == "a\n"
    left = feed.left()
    assert [left.line(i) for i in range(3)] == [b"bc", b"", b"d"]
    assert left.positions.tolist() == [2, 5, 6]
    feed.skip(2)
    assert [feed.left().line(0), len(feed.left().starts)] == [b"d", 1]
    assert next(feed) == "d\n"
    assert len(feed.left().starts) == 0
    assert not feed.has_line()


def test_block_with_a_line_that_was_passed_over_is_not_handed_out_as_a_whole():
    feed = feed_of(b"a\n" + b"x" * 11 + b"\nb\n", limit=10)
    assert feed.has_line()
    assert feed.left() is None


def test_blocks_are_counted_when_they_are_begun():
    feed = feed_of(b"aa\nbb\ncc\n", step=3)
    seen = []
    while feed.has_line():
        seen.append((feed.blocks, next(feed)))
    assert seen == [(1, "aa\n"), (2, "bb\n"), (3, "cc\n")]


def test_csv_module_reads_rows_of_several_lines_from_it():
    feed = feed_of(b'a,"b\nc"\r\nd,e', step=4)
    rows = csv.reader(feed, strict=True)
    assert [(row, feed.take_raw()) for row in rows] == [(["a", "b\nc"], b'a,"b\nc"'), (["d", "e"], b"d,e")]


def test_row_too_long_by_its_lines_goes_on_to_what_closes_its_quotes_and_is_not_held():
    lines = [b'"abc', b"d" * 9, b'e""e', b'f"",","g', b"h", b'i",j', b"k,l"]
    feed = feed_of(b"\n".join(lines) + b"\n", limit=10)
    found = [(len(row), feed.is_long(), feed.take_raw()) for row in csv.reader(feed, strict=True)]
    assert found == [(3, True, b"\n".join(lines[:6])), (2, False, b"k,l")]


def test_of_a_row_of_very_many_lines_its_beginning_is_kept():
    feed = feed_of(b'"' + b"x\n" * RAW_BYTES + b'",b\nc,d\n', step=5000)
    rows = csv.reader(feed, strict=True)
    assert next(rows)[1] == "b"
    assert feed.is_long()
    raw = feed.take_raw()
    assert raw.startswith(b'"' + b"x\n" * (RAW_BYTES // 2))
    assert RAW_BYTES < len(raw) < RAW_BYTES + 10
    assert next(rows) == ["c", "d"]
    assert not feed.is_long()
