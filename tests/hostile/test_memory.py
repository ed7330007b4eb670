"""Inputs that stand for far more than they are: the most memory that a job takes over them."""

import gzip
import sys

import pytest
import zstandard

from tests.test_large_inputs import MB, job, smallest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the most memory a process had is read off /proc")

__all__ = ["smallest"]  # the fixture

LONGEST = 8 * MB  # read.max_row_bytes
ROOM = 150 * MB  # blocks, caches, and what a piece of Zstandard stands for
TIMES = 16  # of the longest row there may be
LINE = 1 << 30  # bytes of the line that is too long
SLOW = {"csv": 16 * MB}  # instead: Python's csv module reads it line by line


def parts(kind):
    """The bytes of a file in parts: a good line, one without end, and a good one."""
    start, unit, end = {
        "text": (b"w1\n", b"\0" * MB, b"\nw2\n"),
        "jsonl": (b'{"text": "w1"}\n{"x": [0', b",[]" * (MB // 3), b']}\n{"text": "w2"}\n'),
        "csv": (b'text,n\nw1,1\n"', b"x,y\n" * (MB // 4), b'",1\nw2,2\n'),
    }[kind]
    yield start
    yield from [unit] * (SLOW.get(kind, LINE) // MB)
    yield end


@pytest.mark.parametrize(
    ("kind", "codec"), [("text", ""), ("text", ".gz"), ("text", ".zst"), ("jsonl", ".zst"), ("csv", ".gz")]
)
def test_line_of_a_gigabyte_packed_or_not_is_a_dead_letter_and_takes_no_memory(tmp_path, smallest, kind, codec):
    path = tmp_path / f"bomb.{ {'text': 'txt'}.get(kind, kind) }{codec}"
    if not codec:
        with path.open("wb") as file:  # with a hole, which the disk does not hold
            file.write(b"w1\n")
            file.seek(LINE, 1)
            file.write(b"\nw2\n")
    else:
        with gzip.open(path, "wb", 6) if codec == ".gz" else zstandard.open(path, "wb") as file:
            for part in parts(kind):
                file.write(part)
        assert path.stat().st_size < 3 * MB
    flags = (f"--set=read.max_row_bytes={LONGEST}", "--set=run.max_dead_letters=1")
    totals, peak = job(path, tmp_path / "out", *flags)
    assert totals["rows_read"] == 3
    assert totals["dead_letters"] == {"too_long": 1}
    assert peak < smallest + ROOM + TIMES * LONGEST


NESTED = {"no text": (b'{"x": [0', b"]}\n", "missing_column"), "no end": (b'{"text": "a", "x": [0', b"\n", "bad_json")}


@pytest.mark.parametrize("case", list(NESTED))
def test_row_of_millions_of_values_takes_memory_in_proportion_to_its_bytes(tmp_path, smallest, case):
    start, end, reason = NESTED[case]
    size = 32 * MB
    (tmp_path / "nest.jsonl").write_bytes(b'{"text": "w1"}\n' + start + b",[]" * (size // 3) + end)
    totals, peak = job(tmp_path / "nest.jsonl", tmp_path / "out", "--set=run.max_dead_letters=1")
    assert totals["dead_letters"] == {reason: 1}
    assert peak < smallest + ROOM + TIMES * size // 2


def test_row_of_millions_of_fields_or_lines_takes_memory_in_proportion_to_its_bytes(tmp_path, smallest):
    size = 16 * MB
    content = b"text,n\nw1,1\n" + b"," * size + b'\n"' + b"x,y\n" * (size // 4)
    (tmp_path / "wide.csv").write_bytes(content)
    totals, peak = job(tmp_path / "wide.csv", tmp_path / "out", "--set=run.max_dead_letters=1")
    assert totals["dead_letters"] == {"bad_row": 2}
    assert peak < smallest + ROOM + 2 * TIMES * size
