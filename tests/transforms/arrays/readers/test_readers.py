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
from transforms.arrays.readers import CODECS, READERS, Columns, Format, detect

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


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


def of_one_long_row(reader: str, size: int) -> bytes:
    """A file of three rows, the second of so many bytes as its reader counts them."""
    texts = ["a", "x" * size, "b"]
    if reader == "jsonl":
        texts[1] = "x" * (size - len('{"text": ""}'))
    if reader == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.table({"text": texts}), sink)
        return sink.getvalue()
    lines = [json.dumps({"text": text}) for text in texts] if reader == "jsonl" else texts
    header = ["text"] if reader in ("csv", "tsv") else []
    return "".join(f"{line}\n" for line in header + lines).encode()


@pytest.mark.parametrize("reader", READERS)
def test_row_above_the_limit_is_a_dead_letter_with_every_reader_and_its_neighbours_are_read(reader):
    columns = Columns(("text",), {}, max_row_bytes=100)
    found = read(reader, of_one_long_row(reader, 100), columns)
    assert (len(found.rows), found.dead) == (3, [])
    found = read(reader, of_one_long_row(reader, 101), columns)
    assert (found.texts, found.reasons, found.read) == (["a", "b"], ["too_long"], 3)
    assert found.letters[0]["message"] == "more than read.max_row_bytes (100 bytes)"


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("reader", [name for name in READERS if name != "parquet"])
def test_the_limit_is_on_rows_as_they_are_unpacked(reader, codec):
    packed = PACK[codec](of_one_long_row(reader, 1_000_000))
    found = read(reader, packed, Columns(("text",), {}, max_row_bytes=100_000), codec=codec)
    assert (found.texts, found.reasons) == (["a", "b"], ["too_long"])
    assert len(packed) < 2000


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
