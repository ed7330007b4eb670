"""What fuzzers feed with bytes: each target reads them as a job would, and compares with a plain way or a law."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tempfile
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.config import Config, load_config
from pipeline.manifest import read_manifest
from tests.transforms.arrays.readers.reading import lines_of, read
from tests.transforms.arrays.readers.test_delimited import XY, plain_csv, plain_tsv, split_up
from transforms.arrays.errors import ConfigError, OblongError
from transforms.arrays.readers import CODECS, DAMAGED, Columns

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 300  # read.max_row_bytes of the targets, so that some rows exceed it


class _NoJsonError(ValueError):
    pass


def _no_constant(name: str) -> None:
    raise _NoJsonError(name)


def _plain_json(line: bytes) -> str | None:
    """The text of a line by Python's json module; None where it is no row, and LookupError where Python cannot tell."""
    try:
        row = json.loads(line.decode(), parse_constant=_no_constant)
    except (UnicodeDecodeError, json.JSONDecodeError, _NoJsonError):
        return None
    except (ValueError, RecursionError) as error:  # thousands of digits or levels
        raise LookupError from error
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None
    text = row.get("text") if isinstance(row, dict) else None
    return text if isinstance(text, str) else None


def text(data: bytes) -> None:
    """Every line is a row, or a dead letter where it is no UTF-8 or too long."""
    found = read("text", data, Columns(("text",), {}, max_row_bytes=LONGEST), step=7)
    lines = dict(lines_of(data))
    assert sorted([*lines]) == sorted([p for p, _ in found.rows] + [p for p, _ in found.dead])
    assert all(lines[place] == row["text"].encode() for place, row in found.rows)
    for place, reason in found.dead:
        if reason == "too_long":
            assert len(lines[place]) > LONGEST
        else:
            assert lines[place].decode(errors="replace").encode() != lines[place]


def jsonl(data: bytes) -> None:
    """Every line that is not blank is a row or a dead letter, as Python's json has it."""
    found = read("jsonl", data, Columns(("text",), {}, max_row_bytes=LONGEST), step=11)
    lines = {place: line for place, line in lines_of(data) if line.strip(b" \t\r\n")}
    texts, letters = dict(found.rows), dict(found.dead)
    # A blank line above the limit is too long before anybody looks.
    long_blanks = {place for place, line in lines_of(data) if len(line) > LONGEST} - lines.keys()
    assert lines.keys() == (texts.keys() | letters.keys()) - long_blanks
    for place, line in lines.items():
        if len(line) > LONGEST:
            assert letters[place] == "too_long"
            continue
        with suppress(LookupError):
            expected = _plain_json(line)
            assert (place in texts) == (expected is not None), line
            assert expected is None or texts[place]["text"] == expected


def csv(data: bytes) -> None:
    """Rows are those of Python's csv module."""
    found = read("csv", data, XY, step=13)
    assert (found.rows, found.dead) == split_up(plain_csv(data, 2))


def tsv(data: bytes) -> None:
    """Rows are lines cut at tabs."""
    found = read("tsv", data, XY, step=13)
    assert (found.rows, found.dead) == split_up(plain_tsv(data, 2))


@cache
def _a_parquet_file() -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    table = pa.table({"text": ["a", None, "漢字", "a"] * 9, "label": pa.array([1, 2, None, 4] * 9, pa.int32())})
    pq.write_table(table, sink, row_group_size=10)
    return sink.getvalue()


def parquet(data: bytes) -> None:
    """A Parquet file with other bytes in its pages gives rows that add up, or one line says that it is damaged.

    Its footer is left alone: one that was made to hurt can ask for gigabytes.
    """
    file = bytearray(_a_parquet_file())
    pages = len(file) - 8 - int.from_bytes(file[-8:-4], "little")
    for at in range(0, len(data) - 2, 3):
        file[int.from_bytes(data[at : at + 2], "little") % pages] = data[at + 2]
    with suppress(OblongError):
        read("parquet", bytes(file), Columns(("text",), {"label": pa.int64()}))


def codecs(data: bytes) -> None:
    """What comes out of a compressed file is what the plain library says, or it is damaged."""
    plain: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.decompress,
        ".bz2": bz2.decompress,
        ".xz": lzma.decompress,
    }
    for codec, start in CODECS.items():
        try:
            found = start(io.BytesIO(data)).read(1 << 20)
        except DAMAGED:
            continue
        if codec in plain and len(found) < 1 << 20:
            with suppress(EOFError, OSError, ValueError, zlib.error, lzma.LZMAError):
                assert plain[codec](data) == found


@cache
def _folder() -> Path:
    """A folder on the disk for what is read from one; its owner is kept for as long as the process."""
    _folder.owner = tempfile.TemporaryDirectory(prefix="oblong-fuzz-")  # type: ignore[attr-defined]
    return Path(_folder.owner.name)  # type: ignore[attr-defined]


def _loads(*arguments: Any) -> None:
    with suppress(ConfigError):
        assert isinstance(load_config(*arguments), Config)


def configuration(data: bytes) -> None:
    """A file is a configuration, or is refused."""
    path = _folder() / "c.yaml"
    path.write_bytes(data)
    _loads(str(path))


def override(data: bytes) -> None:
    """What stands behind --set is taken, or refused."""
    _loads(None, data.decode(errors="surrogateescape").split("\n"))


def manifest(data: bytes) -> None:
    """A manifest whose checksum fits is read; any other file is refused."""
    path = _folder() / "run" / "manifest.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    with suppress(OblongError):
        assert isinstance(read_manifest(str(path)), dict)


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (text, jsonl, csv, tsv, parquet, codecs, configuration, override, manifest)
}

# What fuzzers begin with and put in.
SEEDS: dict[str, tuple[bytes, ...]] = {
    "text": (b"a\r\n\n\xef\xbb\xbfb\xff\n", b"x" * 301 + b"\n"),
    "jsonl": (b'{"text": "a", "text": "\\ud83d\\ude00"}\n[1]\n{"x": 1e308}\n\xff{"text": NaN}\n{"text":null}',),
    "csv": (b'a,b\n"a""b","c\nd"\na"b,c\n"open,\n', b'\0,"\r\n",'),
    "tsv": (b"a\tb\r\n\"\t'\n\t\t\n",),
    "parquet": (b"\0\0\xff\x10\0\1",),
    "codecs": (gzip.compress(b"a\n", mtime=0), bz2.compress(b"a"), lzma.compress(b"a"), b"(\xb5/\xfd\x04X\t\0\0a\n"),
    "configuration": (
        b"read: {files: [a, 'b'], keep: {a: int64}}\nrun: &r {id: 2026-11-22}\n",
        b"batch: {rows: 0x10}\nbeam: {runner: DirectRunner}\nsplit: {a: .5, <<: {b: 0.5}}\nmax_length: !!int 8\n",
    ),
    "override": (b"read.files=[a, b]\nrun.id=x\npadding=true", b"split={a: 1}\nbatch.rows=1e3\n=\n.=\nread.=x"),
    "manifest": (b'{"format_version": 1, "manifest_crc32c": "00000000"}', b'{"a":"\\ud800","manifest_crc32c":NaN}'),
}
assert SEEDS.keys() == TARGETS.keys()
