"""TFRecord files read back, against protobuf and TensorFlow as the oracle."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.arrays.examples import GOLDEN, GOLDEN_ROWS, batches, encoded, ints, thorough
from transforms.arrays.errors import OblongError
from transforms.arrays.example import encode_examples, frame_records
from transforms.arrays.ragged import Ragged
from transforms.arrays.records import decode_example, read_records


def test_the_golden_file_reads_back_as_its_values():
    assert [decode_example(record) for record in read_records(GOLDEN)] == [
        {
            "ids": [0, 127, 128, 16384, 2**31 - 1, -1],
            "label": [1],
            "score": [0.5],
            "text": ["é\0".encode()],
        },
        {"ids": [], "text": [b""]},
    ]


@given(st.lists(st.binary(max_size=40), max_size=8))
@thorough
def test_framed_records_are_read_back_as_they_were(records):
    framed = frame_records(Ragged.of([list(record) for record in records], np.uint8)).tobytes()
    assert list(read_records(framed)) == records
    assert list(read_records(io.BytesIO(framed))) == records


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_flip_of_any_byte_is_found_at_its_record(flip):
    second = len(frame_records(encode_examples(pa.record_batch(GOLDEN_ROWS).slice(0, 1))))
    for at in range(len(GOLDEN)):
        damaged = bytearray(GOLDEN)
        damaged[at] ^= flip
        start = 0 if at < second else second
        with pytest.raises(OblongError, match=f"^a.tfrecord: the .*record at byte {start} is damaged"):
            list(read_records(bytes(damaged), "a.tfrecord"))


def test_a_cut_anywhere_but_between_records_is_found_at_its_record():
    second = len(frame_records(encode_examples(pa.record_batch(GOLDEN_ROWS).slice(0, 1))))
    for length in set(range(len(GOLDEN))) - {0, second}:
        start = 0 if length < second else second
        with pytest.raises(OblongError, match=f"the .*record at byte {start} is cut off"):
            list(read_records(GOLDEN[:length]))


def test_records_before_the_damage_are_still_read():
    records = read_records(GOLDEN[:-1])
    assert next(records).startswith(b"\n")
    with pytest.raises(OblongError, match="cut off"):
        next(records)


def _bits(values: list[Any]) -> list[Any]:
    """Floats as their bits: NaN is not equal to itself."""
    return [struct.pack("<f", value) if isinstance(value, float) else value for value in values]


def _parsed(tf: Any, record: bytes) -> dict[str, list[Any]]:
    """What protobuf reads from a record."""
    features = tf.train.Example.FromString(record).features.feature
    lists = {name: feature.WhichOneof("kind") for name, feature in features.items()}
    return {name: list(getattr(features[name], kind).value) if kind else [] for name, kind in lists.items()}


@given(batches())
@thorough
def test_the_parser_reads_what_protobuf_reads(tf, batch):
    for record in encoded(batch):
        ours, theirs = decode_example(record), _parsed(tf, record)
        assert {name: _bits(values) for name, values in ours.items()} == {
            name: _bits(values) for name, values in theirs.items()
        }


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.lists(ints(64)) | st.lists(st.floats(width=32)) | st.lists(st.binary(max_size=9)),
        max_size=4,
    )
)
@thorough
def test_the_parser_reads_what_protobuf_wrote(tf, rows):
    kinds = {int: ("int64_list", "Int64List"), float: ("float_list", "FloatList"), bytes: ("bytes_list", "BytesList")}
    feature = {}
    for name, values in rows.items():
        field, message = kinds[type(values[0])] if values else ("float_list", "FloatList")
        feature[name] = tf.train.Feature(**{field: getattr(tf.train, message)(value=values)})
    record = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    assert {k: _bits(v) for k, v in decode_example(record).items()} == {k: _bits(v) for k, v in rows.items()}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("1a 04 08 01 08 02", [1, 2]),  # Int64List, each value with its tag: not packed
        ("12 05 0d 00 00 00 3f", [0.5]),  # FloatList, the same
        ("1a 07 0a 01 01 08 02 10 09", [1, 2]),  # packed, then one that is not, then an unknown field
        ("", []),  # Feature without a list
    ],
)
def test_the_parser_reads_other_ways_to_write_the_same(tf, values, expected):
    feature = bytes.fromhex(values)
    entry = b"\x0a\x01a\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry
    record = b"\x0a" + bytes([len(features)]) + features
    assert decode_example(record) == _parsed(tf, record) == {"a": expected}


@given(st.binary(max_size=40))
@thorough
def test_bytes_that_are_no_example_are_refused_and_nothing_else_happens(data):
    with contextlib.suppress(OblongError):
        assert isinstance(decode_example(data), dict)


@pytest.mark.parametrize("at", range(1, 18))
def test_a_record_that_is_cut_off_is_refused(at):
    record = encode_examples(pa.record_batch({"ids": pa.array([[1, 300]])})).values.tobytes()
    assert len(record) == 18
    with pytest.raises(OblongError, match=r"no tf\.train\.Example"):
        decode_example(record[:at])
