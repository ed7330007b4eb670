import gzip
import io
import struct
from types import SimpleNamespace

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.arrays.checksummed import Checksummed
from transforms.arrays.errors import ConfigError
from transforms.arrays.formats import FORMATS, Writing, schema_of
from transforms.arrays.records import decode_example, read_records

SCHEMA = schema_of({"label": pa.int64(), "name": pa.string()}, ("input_ids", "attention_mask", "length", "row_id"))


def batch(rows, width=4, start=0):
    return pa.record_batch(
        {
            "label": [None if i % 3 == 0 else i for i in range(rows)],
            "name": [f"n{i}" for i in range(rows)],
            "input_ids": [[start + i + j for j in range(width)] for i in range(rows)],
            "attention_mask": [[1] * width] * rows,
            "length": [width] * rows,
            "row_id": [f"a#{i}" for i in range(rows)],
        },
        schema=SCHEMA,
    )


def written(name, batches, codec=None):
    sink = io.BytesIO()
    writer = FORMATS[name](sink, batches[0].schema, codec or FORMATS[name].codecs[0])
    for one in batches:
        writer.write(one)
    writer.close()
    assert not sink.closed
    return sink.getvalue()


def rows_of(name, data):
    if name == "parquet":
        return pq.read_table(pa.BufferReader(data)).to_pylist()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return [decode_example(record) for record in read_records(data)]


@pytest.mark.parametrize(("name", "codec"), [(name, codec) for name, kind in FORMATS.items() for codec in kind.codecs])
def test_rows_are_read_back_whatever_the_codec(name, codec):
    batches = [batch(5), batch(2, width=7, start=2**31 - 20)]
    expected = [row for one in batches for row in one.to_pylist()]
    if name == "tfrecord":
        expected = [
            {
                k: v if isinstance(v, list) else [v.encode() if isinstance(v, str) else v]
                for k, v in row.items()
                if v is not None
            }
            for row in expected
        ]
    assert rows_of(name, written(name, batches, codec)) == expected


@pytest.mark.parametrize(("name", "codec"), [(name, codec) for name, kind in FORMATS.items() for codec in kind.codecs])
def test_same_rows_make_the_same_bytes(name, codec, monkeypatch):
    first = written(name, [batch(50)], codec)
    monkeypatch.setattr("time.time", lambda: 5e9)
    assert written(name, [batch(50)], codec) == first


@pytest.mark.parametrize("codec", FORMATS["parquet"].codecs)
def test_parquet_codec_is_the_one_asked_for(codec):
    group = pq.ParquetFile(pa.BufferReader(written("parquet", [batch(5)], codec))).metadata.row_group(0)
    found = {group.column(i).compression.lower() for i in range(group.num_columns)}
    assert found == {"uncompressed" if codec == "none" else codec}


def test_each_batch_written_is_a_row_group():
    metadata = pq.ParquetFile(pa.BufferReader(written("parquet", [batch(5), batch(1), batch(64)]))).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [5, 1, 64]


def test_ids_are_split_by_bytes_and_cells_have_no_statistics():
    group = pq.ParquetFile(pa.BufferReader(written("parquet", [batch(64)]))).metadata.row_group(0)
    columns = {group.column(i).path_in_schema.split(".")[0]: group.column(i) for i in range(group.num_columns)}
    assert "BYTE_STREAM_SPLIT" in columns["input_ids"].encodings
    assert not any("DICTIONARY" in encoding for encoding in columns["input_ids"].encodings)
    assert not any("DICTIONARY" in encoding for encoding in columns["attention_mask"].encodings)
    assert not columns["input_ids"].is_stats_set
    assert not columns["attention_mask"].is_stats_set
    assert (columns["label"].statistics.min, columns["label"].statistics.max) == (1, 62)


def test_parquet_without_ids_is_written():
    one = batch(5).select(["label", "length"])
    assert rows_of("parquet", written("parquet", [one])) == one.to_pylist()


def test_compressed_tfrecord_names_neither_time_nor_file():
    data = written("tfrecord", [batch(5)], "gzip")
    magic, method, flags, time = struct.unpack("<HBBI", data[:8])
    assert (magic, method, flags, time) == (0x8B1F, 8, 0, 0)


def test_suffixes_say_how_a_file_is_compressed():
    assert [FORMATS["parquet"].suffix(codec) for codec in FORMATS["parquet"].codecs] == [".parquet"] * 4
    assert [FORMATS["tfrecord"].suffix(codec) for codec in ("none", "gzip")] == [".tfrecord", ".tfrecord.gz"]


def test_checksum_of_a_shard_is_that_of_its_bytes():
    under = io.BytesIO()
    sink = Checksummed(under)
    for name in FORMATS:
        writer = FORMATS[name](sink, SCHEMA, FORMATS[name].codecs[-1])
        writer.write(batch(9))
        writer.close()
    assert (sink.bytes, sink.crc32c) == (len(under.getvalue()), f"{google_crc32c.value(under.getvalue()):08x}")


def test_columns_are_typed_as_the_interface_says():
    columns = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "length", "row_id")
    schema = schema_of({"score": pa.float64()}, columns)
    assert schema.names == ["score", *columns]
    assert schema.types == [
        pa.float64(),
        pa.list_(pa.int32()),
        *[pa.list_(pa.int8())] * 3,
        pa.int32(),
        pa.string(),
    ]


@pytest.mark.parametrize(
    ("formats", "compression", "codecs"),
    [
        ("parquet", "auto", {"parquet": "zstd"}),
        (("parquet",), "snappy", {"parquet": "snappy"}),
        ("tfrecord", "gzip", {"tfrecord": "gzip"}),
        (("tfrecord", "parquet"), "auto", {"tfrecord": "none", "parquet": "zstd"}),
        (("tfrecord", "parquet"), {"tfrecord": "gzip"}, {"tfrecord": "gzip", "parquet": "zstd"}),
        (("parquet",), {"parquet": "auto"}, {"parquet": "zstd"}),
    ],
)
def test_codecs_are_those_asked_for_or_the_defaults(formats, compression, codecs):
    assert Writing(formats=formats, compression=compression).codecs() == codecs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"compression": "gzip"}, "write.compression.parquet: 'gzip' is not known"),
        ({"compression": {"parquet": "gzip"}}, "write.compression.parquet: 'gzip' is not known"),
        ({"compression": {"tfrecord": "gzip"}}, "write.compression: 'tfrecord' is not known; one of parquet"),
        ({"compression": "none", "formats": ("parquet", "tfrecord")}, "write.compression: 'none' for 2 formats"),
        ({"formats": ()}, "write.formats: nothing is to be written"),
        ({"columns": ()}, "write.columns: nothing is to be written"),
        ({"path": ""}, "write.path: '' names no folder"),
    ],
)
def test_what_cannot_be_written_is_refused(changes, said):
    with pytest.raises(ConfigError, match=f"^{said}"):
        Writing(**changes)


def test_registry_keeps_what_formats_promise():
    for kind in FORMATS.values():
        assert SimpleNamespace(codecs=kind.codecs).codecs[0] in kind.codecs
        assert kind.suffix(kind.codecs[0]).startswith(".")
