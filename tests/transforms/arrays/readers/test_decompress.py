import bz2
import gzip
import io
import lzma

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import Trickle, read
from transforms.arrays.readers.decompress import CODECS, DAMAGED

COMPRESS = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


FILES = {
    "text": b"a\n\nb\xff\nc\r\nlast",
    "jsonl": b'{"text": "a"}\n\n{"text": 1}\n{"text": "b"}\r\nno\n{"text": "c"}',
    "csv": b'text,n\na,1\n"b\n""c""",2\nd\n"e",3',
    "tsv": b'text\tn\na\t1\n"b\t2\nd\ne\t3',
}


every_codec = pytest.mark.parametrize("codec", list(CODECS))


@every_codec
@pytest.mark.parametrize("reader", list(FILES))
def test_compressed_file_gives_the_rows_of_the_plain_one(reader, codec):
    data = FILES[reader]
    plain = read(reader, data)
    assert plain.read >= 4
    for members in ([data], [data[:7], b"", data[7:]], [bytes([byte]) for byte in data]):
        packed = b"".join(map(COMPRESS[codec], members))
        assert read(reader, packed, codec=codec) == plain
        assert read(reader, packed, codec=codec, step=5) == plain


@every_codec
def test_file_cut_short_anywhere_but_between_members_is_never_taken_for_whole(codec):
    first, second = COMPRESS[codec](b"a\nb\n"), COMPRESS[codec](b"c\nd\n")
    packed = first + second
    for end in range(1, len(packed)):
        if end == len(first):
            assert read("text", packed[:end], codec=codec).texts == ["a", "b"]
            continue
        with pytest.raises(DAMAGED):
            read("text", packed[:end], codec=codec)


@every_codec
def test_rubbish_behind_a_member_is_never_taken_for_the_end(codec):
    packed = COMPRESS[codec](b"a\n")
    with pytest.raises(DAMAGED):
        read("text", packed + b"rubbish that is no member", codec=codec)
    with pytest.raises(DAMAGED):
        read("text", b"plain text under a wrong name\n", codec=codec)
    with pytest.raises(DAMAGED):
        read("text", bytes(1000), codec=codec)
    assert read("text", packed + bytes(512) + packed + bytes(4), codec=codec).texts == ["a", "a"]
    assert read("text", b"", codec=codec).read == 0


@every_codec
def test_damage_inside_is_found(codec):
    options = {".zst": zstandard.ZstdCompressor(write_checksum=True).compress}
    packed = bytearray(options.get(codec, COMPRESS[codec])(bytes(range(97, 120)) * 50 + b"\n"))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(DAMAGED):
        read("text", bytes(packed), codec=codec)


@every_codec
def test_large_files_are_decompressed_bit_by_bit(codec):
    line = b"x" * 99 + b"\n"
    packed = COMPRESS[codec](line * 100_000)
    stream = CODECS[codec](io.BytesIO(packed))
    assert stream.read(len(line)) == line
    assert sum(iter(lambda: len(stream.read(1 << 20)), 0)) == len(line) * 99_999


def test_frames_of_zstandard_of_unknown_size_and_skipped_ones_are_read():
    unknown = zstandard.ZstdCompressor(write_content_size=False).compress(b"a\n")
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    assert read("text", unknown + skipped + unknown, codec=".zst").texts == ["a", "a"]


@every_codec
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=60) | st.integers(1, 3000).map(lambda n: b"\0" * n), max_size=4),
    st.sampled_from([2, 7, 100_000]),
    st.sampled_from([1, 5, 1 << 20]),
)
def test_bytes_come_out_as_they_were_however_they_are_cut_and_asked_for(codec, members, step, size):
    packed = b"".join(map(COMPRESS[codec], members))
    stream = CODECS[codec](Trickle(packed, step))
    assert b"".join(iter(lambda: stream.read(size), b"")) == b"".join(members)
    assert stream.read(size) == b""


@every_codec
@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_damage_at_any_byte_is_found_or_does_no_harm(codec, flip):
    compress = {".zst": zstandard.ZstdCompressor(write_checksum=True).compress}.get(codec, COMPRESS[codec])
    content = b"one line\nand another\n"
    packed = compress(content[:9]) + compress(content[9:])
    harmless = 0
    for at in range(len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= flip
        try:
            found = CODECS[codec](io.BytesIO(bytes(damaged))).read()
        except DAMAGED:
            continue
        assert found == content
        harmless += 1
    assert harmless < len(packed) / 3  # the time in a header of gzip, say


@every_codec
def test_lines_before_the_cut_are_given_before_it_is_found(codec):
    packed = COMPRESS[codec](b"a\n") + COMPRESS[codec](b"b\n")[:-1]
    stream = CODECS[codec](Trickle(packed, 2))
    assert stream.read(2) == b"a\n"
    with pytest.raises(DAMAGED):
        stream.read()
