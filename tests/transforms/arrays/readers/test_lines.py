import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import BOM, Trickle, lines_of
from transforms.arrays.dead_letters import RAW_BYTES
from transforms.arrays.readers.lines import BLOCK_LINES, cut_out, read_lines

files = st.builds(
    lambda bom, body: bom + body,
    st.sampled_from([b"", b"", BOM, BOM[:2]]),
    st.lists(st.sampled_from([b"a", b"b", b"\n", b"\n", b"\r", b"\r\n", BOM, "é".encode()]), max_size=30).map(b"".join),
)


def read_all(data, cuts=(), max_row_bytes=1000, step=None, block_bytes=7):
    """Lines of all ranges, and those passed over, as (offset, line or None)."""
    found = []
    bounds = [0, *sorted(cuts), None]
    for start, stop in pairwise(bounds):
        if start == stop:
            continue
        stream = io.BytesIO(data) if step is None else Trickle(data, step)
        for block in read_lines(stream, start, stop, max_row_bytes=max_row_bytes, block_bytes=block_bytes):
            lines = [block.line(i) for i in range(len(block.starts))]
            assert block.to_binary().to_pylist() == lines
            found += zip(block.positions.tolist(), lines, strict=True)
            found += [(line.position, None) for line in block.too_long]
    return found


@settings(max_examples=600, deadline=None)
@given(files, st.lists(st.integers(1, 40), max_size=3), st.sampled_from([1, 3, 1000]), st.integers(1, 12))
@example(BOM, [1, 2], 1000, 1)
@example(BOM + b"\n", [3], 1000, 2)
@example(b"a\r", [], 1000, 1)
@example(b"\r\n\n\r", [1, 2, 3], 1000, 1)
@example(b"aaaa\r\nb", [5, 6], 3, 2)
def test_ranges_of_any_size_in_blocks_of_any_size_give_each_line_once(data, cuts, limit, block):
    expected = [(at, line if len(line) <= limit else None) for at, line in lines_of(data)]
    cuts = [cut for cut in cuts if cut < len(data)]
    assert sorted(read_all(data, cuts, limit, block_bytes=block), key=lambda line: line[0]) == expected


@settings(max_examples=200, deadline=None)
@given(files, st.integers(1, 5))
def test_streams_that_give_less_than_they_are_asked_for_lose_nothing(data, step):
    assert read_all(data, step=step, block_bytes=100) == lines_of(data)


def test_only_lf_and_crlf_end_lines():
    data = "a\rb\u2028c\x0bd\x0ce\x85f\x1cg\r\nh\n".encode()
    assert read_all(data) == [(0, data[:-4]), (len(data) - 2, b"h")]


def test_bom_counts_for_the_place_but_not_for_the_line_and_only_at_the_start():
    assert read_all(BOM + b"a\n" + BOM + b"b") == [(0, b"a"), (5, BOM + b"b")]


def test_line_of_the_limit_is_whole_and_one_above_it_is_passed_over():
    for end in (b"\n", b"\r\n", b""):
        assert read_all(BOM + b"x" * 20 + end, max_row_bytes=20) == [(0, b"x" * 20)]
        assert read_all(BOM + b"x" * 21 + end, max_row_bytes=20) == [(0, None)]


def test_line_that_is_passed_over_is_never_held_and_keeps_its_beginning():
    line = b"0123456789" * 100_000
    blocks = list(read_lines(io.BytesIO(b"a\n" + line + b"\nb\n"), max_row_bytes=100_000, block_bytes=1000))
    assert max(len(block.data) for block in blocks) < 2 * 1000
    passed = [line for block in blocks for line in block.too_long]
    assert passed == [(2, line[: RAW_BYTES + 1])]
    lines = [(int(p), block.line(i)) for block in blocks for i, p in enumerate(block.positions)]
    assert lines == [(0, b"a"), (2 + len(line) + 1, b"b")]


@pytest.mark.parametrize("bom", [b"", BOM])
@pytest.mark.parametrize("last", [b"", b"x", b"\r\n"])
def test_many_short_lines_are_given_in_blocks_of_so_many(bom, last):
    data = bom + b"a\nbcd\n\r\n" * BLOCK_LINES + last
    blocks = list(read_lines(io.BytesIO(data), max_row_bytes=2))
    assert max(len(block.starts) + len(block.too_long) for block in blocks) <= BLOCK_LINES
    found = []
    for block in blocks:
        lines = [block.line(i) for i in range(len(block.starts))]
        lines = [*zip(block.positions.tolist(), lines, strict=True), *((x.position, x.start) for x in block.too_long)]
        found += sorted(lines)
    assert found == lines_of(data)


@pytest.mark.parametrize("start", [999_000, 1_000_001])
def test_range_in_the_middle_reads_little_beyond_its_own_bytes(start):
    data = (b"x" * 99 + b"\n") * 100_000
    stream = io.BytesIO(data)
    lines = [p for block in read_lines(stream, start, start + 1000, max_row_bytes=1000) for p in block.positions]
    assert len(lines) == 10
    assert stream.tell() < start + (5 << 20)


def test_stretches_may_be_empty_touch_the_ends_and_be_none():
    data = np.frombuffer(b"ab,,c", np.uint8)
    found = cut_out(data, np.array([0, 3, 4, 5]), np.array([2, 3, 5, 5]))
    found.validate(full=True)
    assert found.to_pylist() == [b"ab", b"", b"c", b""]
    assert cut_out(data, np.array([], np.int64), np.array([], np.int64)).to_pylist() == []
