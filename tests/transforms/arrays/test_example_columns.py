import gzip
import io
import random

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.arrays import example_columns
from transforms.arrays.errors import JobError
from transforms.arrays.example import encode_examples, frame_records
from transforms.arrays.example_columns import decode_examples, read_frames
from transforms.arrays.formats import FORMATS
from transforms.arrays.ragged import Ragged
from transforms.arrays.records import decode_example, read_records

FLOAT32 = st.floats(width=32, allow_nan=False)
COLUMNS = {
    "input_ids": (pa.list_(pa.int32()), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9)),
    "attention_mask": (pa.list_(pa.int8()), st.lists(st.integers(0, 1), max_size=9)),
    "label": (pa.int64(), st.none() | st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.int32(), st.none() | st.integers(-(2**31), 2**31 - 1)),
    "easy": (pa.bool_(), st.none() | st.booleans()),
    "score": (pa.float64(), st.none() | FLOAT32),
    "part": (pa.float32(), st.none() | FLOAT32),
    "name": (pa.string(), st.none() | st.text(max_size=200)),
    "é": (pa.string(), st.text(max_size=3)),
}


@st.composite
def batches(draw):
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), unique=True, min_size=1))
    rows = draw(st.integers(0, 6))
    schema = pa.schema([pa.field(name, COLUMNS[name][0]) for name in names])
    columns = [draw(st.lists(COLUMNS[name][1], min_size=rows, max_size=rows)) for name in names]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def read(data, schema):
    return [decode_examples(frames, schema, "a") for frames in read_frames(io.BytesIO(data), "a")]


def framed(batch):
    return frame_records(encode_examples(batch)).tobytes()


@settings(max_examples=200, deadline=None)
@given(batches())
def test_columns_come_back_as_they_were_written(batch):
    back = read(framed(batch), batch.schema)
    assert pa.Table.from_batches(back, batch.schema).equals(pa.Table.from_batches([batch]))
    assert [part.num_rows for part in back] == ([batch.num_rows] if batch.num_rows else [])


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_stretches_may_end_anywhere(monkeypatch, chunk):
    batch = pa.record_batch({"ids": pa.array([list(range(i)) for i in range(60)], pa.list_(pa.int32()))})
    data = framed(batch)
    monkeypatch.setattr(example_columns, "CHUNK", chunk)
    back = read(data, batch.schema)
    assert pa.Table.from_batches(back).equals(pa.Table.from_batches([batch]))
    assert len(back) > 1
    records = [f.data[a:b] for f in read_frames(io.BytesIO(data), "a") for a, b in zip(f.starts, f.stops, strict=True)]
    assert records == list(read_records(data))
    places = [f.place for f in read_frames(io.BytesIO(data), "a")]
    assert places == sorted(places)
    assert places[0] == 0


def test_every_cut_and_every_flip_of_a_file_is_refused():
    data = framed(pa.record_batch({"ids": pa.array([[1, 300], [70000]], pa.list_(pa.int32()))}))
    schema = pa.schema([("ids", pa.list_(pa.int32()))])
    frames = list(read_frames(io.BytesIO(data), "a"))
    borders = {0, *(int(stop) + 4 for stop in frames[0].stops)}
    for length in set(range(len(data))) - borders:
        with pytest.raises(JobError, match=r"^a: the (length of the )?record at byte \d+ is cut off"):
            read(data[:length], schema)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(JobError, match=r"^a: the (length of the )?record at byte \d+ is (damaged|cut off)"):
            read(bytes(damaged), schema)


def reframed(record):
    return frame_records(Ragged.of([list(record)], np.uint8)).tobytes()


@pytest.mark.parametrize("seed", range(20))
def test_record_that_is_none_of_ours_is_refused_or_still_an_example(seed):
    """Under checksums that fit, anything may stand in a record: it is refused by a JobError, or read as it is."""
    schema = pa.schema(
        [("ids", pa.list_(pa.int32())), ("n", pa.int64()), ("t", pa.string()), ("b", pa.bool_()), ("f", pa.float32())]
    )
    rows = {"ids": [[1, 300, 70000], []], "n": [None, -5], "t": ["é", None], "b": [True, None], "f": [1.5, 2.5]}
    whole = [bytes(r) for r in encode_examples(pa.record_batch(rows, schema=schema)).tolist()]
    rng = random.Random(seed)
    refused = 0
    for _ in range(300):
        record = bytearray(rng.choice(whole))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(record) + 1)
            record[at : at + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
        try:
            (back,) = read(reframed(record), schema)
        except JobError:
            refused += 1
            continue
        back.validate(full=True)
        theirs = decode_example(bytes(record))
        assert back["ids"][0].as_py() == theirs["ids"]
        assert [back["n"][0].as_py()] == theirs.get("n", [None])
    assert refused > 200


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        ({"a": [1], "b": [2]}, [("a", pa.int64())]),
        ({"a": [1]}, [("a", pa.int64()), ("b", pa.list_(pa.int32()))]),
        ({"a": [1]}, [("a", pa.string())]),
        ({"a": ["x"]}, [("a", pa.int64())]),
        ({"a": [1.5]}, [("a", pa.int64())]),
        ({"a": [2]}, [("a", pa.bool_())]),
        ({"a": [2**31]}, [("a", pa.int32())]),
        ({"a": [[1, 2]]}, [("a", pa.int64())]),
        ({"a": pa.array([[]], pa.list_(pa.int32()))}, [("a", pa.int64())]),
        ({"a": [[200]]}, [("a", pa.list_(pa.int8()))]),
    ],
)
def test_columns_that_the_schema_does_not_have_are_refused(written, schema):
    with pytest.raises(JobError, match=r"^a: (the record at byte 0|a record) holds (no|other)"):
        read(framed(pa.record_batch(written)), pa.schema(schema))


def test_text_that_is_no_utf8_is_refused():
    data = framed(pa.record_batch({"a": pa.array([b"\xff"])}))
    with pytest.raises(JobError, match="it is no UTF-8"):
        read(data, pa.schema([("a", pa.string())]))


def test_length_beyond_any_record_is_refused_before_anything_is_allocated():
    head = (2**62).to_bytes(8, "little")
    crc = google_crc32c.value(head)
    data = head + (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF).to_bytes(4, "little")
    with pytest.raises(JobError, match="claims 4611686018427387904 bytes"):
        list(read_frames(io.BytesIO(data), "a"))


def test_compressed_file_is_read_as_a_stream():
    batch = pa.record_batch({"ids": pa.array([[7] * 50] * 1000, pa.list_(pa.int32()))})
    stream = io.BytesIO(gzip.compress(framed(batch)))
    back = list(FORMATS["tfrecord"].read(stream, "a.tfrecord.gz", batch.schema))
    assert pa.Table.from_batches(back).equals(pa.Table.from_batches([batch]))
