"""Files that are cut short or have other bytes in them: told, or read as if they were whole, and no row is lost."""

import bz2
import gzip
import io
import lzma
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.transforms.arrays.readers.reading import read
from transforms.arrays.errors import JobError
from transforms.arrays.readers import CODECS, DAMAGED, Columns

TEXT = "".join(f"row {i} of a file that is packed\n" for i in range(400)).encode()

PACKED = {
    ".gz": gzip.compress(TEXT, mtime=0),
    ".bz2": bz2.compress(TEXT),
    ".xz": lzma.compress(TEXT),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress(TEXT),
}
assert PACKED.keys() == CODECS.keys()


def unpacked(codec, data):
    """What a file unpacks to; None where it is told that it is damaged."""
    try:
        return CODECS[codec](io.BytesIO(data)).read()
    except DAMAGED:
        return None


@pytest.mark.parametrize("codec", CODECS)
def test_compressed_file_is_told_wherever_it_is_cut(codec):
    whole = PACKED[codec]
    assert unpacked(codec, whole) == TEXT
    assert [cut for cut in range(1, len(whole)) if unpacked(codec, whole[:cut]) is not None] == []


@pytest.mark.parametrize("codec", CODECS)
def test_compressed_file_with_another_bit_is_told_or_unpacks_to_the_same(codec, often):
    whole, rng, told = PACKED[codec], random.Random(codec), 0
    for _ in range(300 * often):
        at = rng.randrange(len(whole))
        found = unpacked(codec, whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        assert found in (None, TEXT)
        told += found is None
    assert told > 200 * often


ROWS = 300
LABELS = Columns(("text",), {"label": pa.int64()})


def as_parquet(**options):
    """A file of three row groups, several pages each, with columns that nobody asks for."""
    table = pa.table(
        {
            "text": [f"row {i} " * 3 for i in range(ROWS)],
            "label": pa.array(range(ROWS), pa.int32()),
            "tags": [["a"] * (i % 3) for i in range(ROWS)],
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=100, data_page_size=500, write_batch_size=20, **options)
    return sink.getvalue()


KINDS = {
    "as it comes": {},
    "no codec, no dictionary": {"compression": "none", "use_dictionary": False},
    "pages of version 2": {"data_page_version": "2.0", "compression": "zstd", "store_schema": False},
}


def footer_of(data):
    """Where a Parquet file's footer begins."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def rows_of(data):
    """The rows of a Parquet file by position, and its dead letters; None where it is told that it is damaged."""
    try:
        found = read("parquet", data, LABELS)
    except JobError:
        return None
    return dict(found.rows), found.dead


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_is_told_wherever_it_is_cut(kind, often):
    whole, rng = as_parquet(**KINDS[kind]), random.Random(kind)
    assert rows_of(whole) is not None
    cuts = [*rng.sample(range(len(whole)), 100 * min(often, 20)), *range(len(whole) - 20, len(whole))]
    assert [cut for cut in cuts if rows_of(whole[:cut]) is not None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_with_other_bytes_in_its_footer_loses_no_row(kind, often):
    whole, rng, told = as_parquet(**KINDS[kind]), random.Random(kind), 0
    expected, _ = rows_of(whole)
    for _ in range(400 * often):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 4])):
            data[rng.randrange(footer_of(whole), len(whole))] ^= 1 << rng.randrange(8)
        found = rows_of(bytes(data))
        if found is None:
            told += 1
            continue
        rows, dead = found
        assert len(rows) + len(dead) == ROWS
        assert all(expected[position] == row for position, row in rows.items())
    assert told > 150 * often


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_with_checksums_and_other_bytes_in_its_pages_is_told_or_read_as_it_was(kind, often):
    whole, rng, told, other = as_parquet(write_page_checksum=True, **KINDS[kind]), random.Random(kind), 0, 0
    expected = rows_of(whole)
    for _ in range(200 * often):
        data = bytearray(whole)
        data[rng.randrange(4, footer_of(whole))] ^= 1 << rng.randrange(8)
        found = rows_of(bytes(data))
        told += found is None
        other += found not in (None, expected)
        assert found is None or len(found[0]) + len(found[1]) == ROWS
    assert told > 50 * often
    assert other <= 200 * often // 500  # a page's checksum does not cover the page's header


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_without_checksums_and_other_bytes_in_its_pages_loses_no_row(kind, often):
    whole, rng, told = as_parquet(**KINDS[kind]), random.Random(kind), 0
    for _ in range(200 * often):
        data = bytearray(whole)
        data[rng.randrange(4, footer_of(whole))] ^= 1 << rng.randrange(8)
        found = rows_of(bytes(data))
        told += found is None
        assert found is None or len(found[0]) + len(found[1]) == ROWS
    assert told > 20 * often
