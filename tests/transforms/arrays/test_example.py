"""TFRecord files of Examples, against TensorFlow as the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.arrays.examples import EDGES, GOLDEN, GOLDEN_ROWS, batches, encoded, thorough
from transforms.arrays.errors import JobError
from transforms.arrays.example import encode_examples, frame_records
from transforms.arrays.ragged import Ragged
from transforms.arrays.records import decode_example, read_records


def _feature(tf: Any, kind: Any, value: Any) -> Any:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
    if pa.types.is_floating(kind):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    data = value.encode() if isinstance(value, str) else value
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))


def _oracle(tf: Any, batch: Any) -> list[bytes]:
    """What protobuf makes of the rows, one by one."""
    columns = [(field.name, field.type, batch.column(field.name).to_pylist()) for field in batch.schema]
    records = []
    for row in range(batch.num_rows):
        values = [(name, kind, column[row]) for name, kind, column in columns]
        feature = {name: _feature(tf, kind, value) for name, kind, value in values if value is not None}
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        records.append(example.SerializeToString(deterministic=True))
    return records


@given(batches())
@thorough
def test_a_batch_is_serialized_as_protobuf_serializes_its_rows(tf, batch):
    assert encoded(batch) == _oracle(tf, batch)


def test_a_name_comes_before_the_names_that_it_begins(tf):
    batch = pa.record_batch({name: pa.array([[1]]) for name in ("b", "ab", "a", "", "abc", "é", "a\0")})
    (record,), (oracle,) = encoded(batch), _oracle(tf, batch)
    assert list(decode_example(record)) == ["", "a", "a\0", "ab", "abc", "b", "é"]
    assert len(record) == len(oracle)
    assert tf.train.Example.FromString(record) == tf.train.Example.FromString(oracle)


@given(batches(), st.integers(0, 5), st.integers(0, 5))
@thorough
def test_a_slice_of_a_batch_is_serialized_as_its_rows_are(batch, start, length):
    assert encoded(batch.slice(start, length)) == encoded(batch)[start : start + length]


@pytest.mark.parametrize("value", [*EDGES, 2**63 - 1, -(2**63), *(2**bits - 1 for bits in range(7, 63, 7))])
def test_every_length_of_varint_is_right_among_shorter_and_longer_ones(tf, value):
    ids = [value, 0, value, value, 300, 2**40, value]
    batch = pa.record_batch(
        {
            "alone": pa.array([[value] * 3], pa.list_(pa.int64())),
            "mixed": pa.array([ids], pa.list_(pa.int64())),
            "scalar": pa.array([value], pa.int64()),
        }
    )
    assert encoded(batch) == _oracle(tf, batch)


@pytest.mark.parametrize("length", [0, 1, 112, 113, 114, 115, 120, 124, 125, 127, 128, 16_300, 16_383, 16_384, 2**21])
def test_every_message_that_grows_past_a_length_of_varint_is_right(tf, length):
    batch = pa.record_batch({"text": pa.array(["x" * length, None, "y"]), "ids": pa.array([[1] * length, [], [2]])})
    assert encoded(batch) == _oracle(tf, batch)


def test_numbers_that_a_float32_cannot_hold_become_what_protobuf_makes_of_them(tf):
    values = [1e300, -1e300, 1e-300, 0.1, float("nan"), float("inf"), -0.0, None]
    batch = pa.record_batch({"score": pa.array(values, pa.float64())})
    assert encoded(batch) == _oracle(tf, batch)


def test_a_table_of_several_chunks_is_serialized_like_one_batch(tf):
    batch = pa.record_batch({"ids": pa.array([[1, 2], [], [300]]), "label": pa.array([1, None, -3])})
    table = pa.Table.from_batches([batch, batch.slice(1), batch.slice(0, 0)])
    assert encoded(table) == _oracle(tf, table)


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_without_columns_are_examples_without_features(tf, rows):
    batch = pa.record_batch({"a": pa.array([1] * rows, pa.int32())}).select([])
    assert batch.num_rows == rows
    assert encoded(batch) == _oracle(tf, batch) == [b"\n\0"] * rows


def test_a_column_of_nulls_leaves_no_trace():
    batch = pa.record_batch({"a": pa.array([None, None], pa.int32()), "b": pa.array([None, None], pa.string())})
    assert encoded(batch) == [b"\n\0"] * 2


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], None]),
        pa.array([[1, None]]),
        pa.array([[1.5]]),
        pa.array([["a"]]),
        pa.array([1], pa.uint64()),
        pa.array([1], pa.timestamp("s")),
        pa.nulls(1),
    ],
    ids=lambda column: f"{column.type}",
)
def test_a_column_without_a_place_in_an_example_is_refused_by_name(column):
    with pytest.raises(JobError, match="column labels: TFRecord cannot hold"):
        encode_examples(pa.record_batch({"labels": column}))


def test_a_null_outside_of_the_slice_is_no_reason_to_refuse_it():
    batch = pa.record_batch({"ids": pa.array([[1], [None], [2]])})
    assert list(map(decode_example, encoded(batch.slice(2)))) == [{"ids": [2]}]


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(JobError, match="two columns of one name: a, a"):
        encode_examples(pa.record_batch([pa.array([1]), pa.array([2])], ["a", "a"]))


def test_a_file_is_the_one_that_tensorflow_wrote():
    assert frame_records(encode_examples(pa.record_batch(GOLDEN_ROWS))).tobytes() == GOLDEN


def test_the_golden_bytes_follow_from_their_recipe(tf, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "golden.tfrecord")) as writer:
        for record in _oracle(tf, pa.record_batch(GOLDEN_ROWS)):
            writer.write(record)
    assert (tmp_path / "golden.tfrecord").read_bytes() == GOLDEN


def test_tensorflow_reads_back_files_written_in_parts(tf, tmp_path):
    rng = np.random.default_rng(7)
    rows = [rng.integers(0, 30_000, n).tolist() for n in (3, 0, 200, 1, 17, 200)]
    batch = pa.record_batch({"ids": pa.array(rows, pa.list_(pa.int32())), "row": pa.array(range(len(rows)))})
    path = tmp_path / "a.tfrecord"
    with path.open("wb") as file:
        for part in (batch.slice(0, 2), batch.slice(2, 0), batch.slice(2)):
            file.write(frame_records(encode_examples(part)))
    features = {"ids": tf.io.RaggedFeature(tf.int64), "row": tf.io.FixedLenFeature([], tf.int64)}
    examples = tf.io.parse_example(list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()), features)
    assert examples["ids"].to_list() == rows
    assert examples["row"].numpy().tolist() == list(range(len(rows)))
    with path.open("rb") as file:
        assert list(read_records(file)) == encoded(batch)


def test_records_that_do_not_start_at_the_first_byte_are_framed_alike():
    records = Ragged.of([[1], [2, 3], [], [4]], np.uint8)
    cut = Ragged(records.offsets[1:], records.values)
    assert list(read_records(frame_records(cut).tobytes())) == [b"\2\3", b"", b"\4"]
