import bz2
import gzip
import io
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import BOM, lines_of, read
from tests.transforms.arrays.readers.test_delimited import plain_csv
from transforms.arrays.errors import ConfigError
from transforms.arrays.readers import CODECS, DAMAGED, READERS, Columns, Format, detect

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


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.txt", ("text", None)),
        ("a.text", ("text", None)),
        ("b/a.jsonl", ("jsonl", None)),
        ("a.ndjson", ("jsonl", None)),
        ("a.json", ("jsonl", None)),
        ("A.CSV", ("csv", None)),
        ("a.tsv", ("tsv", None)),
        ("a.tab", ("tsv", None)),
        ("a.parquet", ("parquet", None)),
        ("a.pq", ("parquet", None)),
        ("gs://bucket/x.y/a.JSONL.GZ", ("jsonl", ".gz")),
        ("a.txt.bz2", ("text", ".bz2")),
        ("a.csv.zst", ("csv", ".zst")),
        ("a.tsv.xz", ("tsv", ".xz")),
    ],
)
def test_suffix_says_format_and_compression(path, expected):
    assert detect(path) == Format(*expected)


def test_format_that_is_given_beats_the_suffix_and_leaves_the_compression():
    assert detect("a.txt", "jsonl") == Format("jsonl", None)
    assert detect("a.dump.gz", "text") == Format("text", ".gz")
    assert detect("dump", "csv") == Format("csv", None)


@pytest.mark.parametrize("path", ["a.xyz", "a", "a.gz", "folder.txt/a", "a.jsonl.zip", "a.txt~"])
def test_suffix_that_says_nothing_is_refused_with_those_that_do(path):
    with pytest.raises(ConfigError) as caught:
        detect(path)
    assert f"the suffix of {path} is none of .txt, .text, .jsonl" in str(caught.value)
    assert "--set read.format=text|jsonl|csv|tsv|parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_compressed_parquet_is_refused():
    with pytest.raises(ConfigError, match=r"a\.parquet\.gz: Parquet is compressed inside; unpack it from \.gz"):
        detect("a.parquet.gz")


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


words = st.sampled_from(["", "", "a", "b c", "é", "漢字"])
labels = st.sampled_from(["1", "2", "", "x"])


def corpus(reader, rows, noise):
    """A file of rows of text and label, some lines of noise among them."""
    if reader == "parquet":
        sink = io.BytesIO()
        texts = [text or None if i % 3 == 0 else text for i, (text, _) in enumerate(rows)]
        pq.write_table(pa.table({"text": pa.array(texts, pa.string()), "label": [label for _, label in rows]}), sink)
        return sink.getvalue()
    spell = {
        "text": lambda text, label: text.encode(),
        "jsonl": lambda text, label: json.dumps(
            {"text": text, "label": int(label) if label in "12" and label else label}
        ).encode(),
        "csv": lambda text, label: f'"{text}",{label}'.encode(),
        "tsv": lambda text, label: f"{text}\t{label}".encode(),
    }[reader]
    lines = [spell(text, label) for text, label in rows]
    for i, line in enumerate(noise):
        lines.insert(2 * i, line)
    header = {"csv": [b"text,label"], "tsv": [b"text\tlabel"]}.get(reader, [])
    return BOM + b"\n".join([*header, *lines])


COUNT = {
    "text": lambda data: len(lines_of(data)),
    "jsonl": lambda data: sum(bool(line.strip(b" \t\r\n")) for _, line in lines_of(data)),
    "csv": lambda data: sum(1 for _ in plain_csv(data, 2)) - 1,
    "tsv": lambda data: sum(bool(line) for _, line in lines_of(data)) - 1,
}


@pytest.mark.parametrize("reader", list(READERS))
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(words, labels), max_size=12),
    noise=st.lists(
        st.sampled_from([b"\xff", b"no", b'{"text": null}', b'"', b'a"b', b"x" * 50, b"\t\t,,"]), max_size=3
    ),
    empty=st.sampled_from(["keep", "drop", "dead_letter"]),
    step=st.sampled_from([None, 9]),
)
def test_rows_read_are_rows_given_and_dead_letters_and_dropped(reader, rows, noise, empty, step):
    kept = {} if reader in ("text", "parquet") else {"label": pa.int64()}
    data = corpus(reader, rows, noise)
    columns = Columns(("text",), kept, empty, 40)
    found = read(reader, data, columns, step=None if reader == "parquet" else step)
    assert found.read == len(found.rows) + len(found.letters) + found.dropped
    assert found.read == (len(rows) if reader == "parquet" else COUNT[reader](data))
    places = [place for place, _ in found.rows] + [place for place, _ in found.dead]
    assert len(set(places)) == len(places)
    if empty != "keep":
        assert all(found.texts)
    if empty != "drop":
        assert found.dropped == 0
    # What becomes of empty rows changes nothing else.
    kept_all = read(reader, data, columns._replace(empty="keep"))
    assert found.read == kept_all.read
    assert [row for row in kept_all.rows if row[1]["text"]] == [row for row in found.rows if row[1]["text"]]
