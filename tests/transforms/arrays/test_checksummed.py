import io

import google_crc32c
from hypothesis import given
from hypothesis import strategies as st

from transforms.arrays.checksummed import Checksummed


def test_sink_counts_and_checksums_what_passes_through():
    under = io.BytesIO()
    sink = Checksummed(under)
    assert sink.crc32c == "00000000"
    assert [sink.write(part) for part in (b"ab", memoryview(b"cde"), bytearray(b""))] == [2, 3, 0]
    sink.flush()
    sink.close()
    assert (sink.bytes, sink.crc32c, under.getvalue()) == (5, f"{google_crc32c.value(b'abcde'):08x}", b"abcde")
    assert sink.closed
    assert not under.closed


def test_abandoned_sink_lets_nothing_through():
    under = io.BytesIO()
    sink = Checksummed(under)
    sink.write(b"ab")
    sink.abandon()
    assert sink.write(b"cde") == 3
    assert (sink.bytes, under.getvalue()) == (2, b"ab")


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_checksum_does_not_depend_on_the_parts_that_bytes_come_in(parts):
    under, whole = io.BytesIO(), b"".join(parts)
    sink = Checksummed(under)
    for part in parts:
        assert sink.write(part) == len(part)
    assert (sink.bytes, sink.crc, under.getvalue()) == (len(whole), google_crc32c.value(whole), whole)


def test_checksum_keeps_its_leading_zeros():
    sink = Checksummed(io.BytesIO())
    sink.write(b"127")
    assert sink.crc32c == f"{google_crc32c.value(b'127'):08x}"
    assert len(sink.crc32c) == 8


def test_flush_reaches_the_sink_below():
    under = io.BytesIO()
    sink = Checksummed(io.BufferedWriter(under))
    sink.write(b"ab")
    assert under.getvalue() == b""
    sink.flush()
    assert under.getvalue() == b"ab"
