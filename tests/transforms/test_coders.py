import pickle

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest

from transforms.arrays.dead_letters import DeadLetters
from transforms.arrays.identity import row_ids
from transforms.coders import RecordBatchCoder

CODER = RecordBatchCoder()

WIDE = pa.RecordBatch.from_arrays(
    [
        row_ids("a folder/é#.txt", np.arange(1000)),
        pa.array(["x" * 1000, "é", "", None] * 250),
        pa.array([[1, 2], None, [], [3]] * 250, pa.list_(pa.int32())),
        pa.StructArray.from_arrays(
            [pa.array([[i] * 100 for i in range(1000)], pa.list_(pa.int32())), pa.array(["y" * 500] * 1000)],
            names=["ids", "s"],
        ),
        pa.array([b"\xff", None] * 500),
        pa.array(["a", "b"] * 500).dictionary_encode(),
        pa.nulls(1000),
        pa.array([True, None] * 500),
    ],
    schema=pa.schema(
        [
            pa.field("row_id", row_ids("f", np.arange(1)).type),
            pa.field("text", pa.string()),
            pa.field("list", pa.list_(pa.int32()), metadata={"of": "field"}),
            pa.field("struct", pa.struct({"ids": pa.list_(pa.int32()), "s": pa.string()})),
            pa.field("bytes", pa.binary()),
            pa.field("dictionary", pa.dictionary(pa.int32(), pa.string())),
            pa.field("nothing", pa.null()),
            pa.field("bool", pa.bool_()),
        ],
        metadata={"key": "value"},
    ),
)


@pytest.mark.parametrize("batch", [WIDE, WIDE.slice(1, 5), WIDE.slice(999), WIDE.slice(0, 0), DeadLetters().to_batch()])
def test_batch_comes_back_with_its_values_and_its_schema(batch):
    back = CODER.decode(CODER.encode(batch))
    back.validate(full=True)
    assert back.to_pylist() == batch.to_pylist()
    assert back.schema.equals(batch.schema, check_metadata=True)


def test_slice_is_written_without_its_parent():
    whole, one = len(CODER.encode(WIDE)), len(CODER.encode(WIDE.slice(500, 1)))
    assert whole > 1_000_000
    assert one < 6000
    assert len(pickle.dumps(WIDE.slice(500, 1))) > 100 * one


def test_slice_is_written_with_the_names_of_its_own_files_alone():
    names = pa.array([f"a folder of many files/{i:06}.txt" for i in range(8192)])
    files = pa.DictionaryArray.from_arrays(pa.array(np.arange(8192, dtype=np.int32)), names)
    whole = pa.record_batch({"row_id": row_ids(files, np.arange(8192)), "file": files})
    for start, rows in ((0, 1), (4000, 1), (4000, 100), (8191, 1), (5, 0)):
        part = whole.slice(start, rows)
        encoded = CODER.encode(part)
        assert len(encoded) < 2000 + 200 * rows
        back = CODER.decode(encoded)
        back.validate(full=True)
        assert back.schema.equals(whole.schema)
        assert back.to_pylist() == part.to_pylist()
        assert len(back["file"].dictionary) == rows
    assert CODER.decode(CODER.encode(whole)).equals(whole)


def test_nulls_and_repeats_stay_where_they_are_when_a_dictionary_is_cut():
    array = pa.array([None, "c", "a", "c", None, "b", "d", "e"]).dictionary_encode()
    struct = pa.StructArray.from_arrays([array], names=["x"], mask=pa.array([i == 3 for i in range(8)]))
    part = pa.record_batch({"array": array, "struct": struct}).slice(1, 4)
    back = CODER.decode(CODER.encode(part))
    assert back.to_pylist() == part.to_pylist()
    assert back["array"].dictionary.to_pylist() == ["c", "a"]


def test_slice_of_a_slice_keeps_its_rows():
    one = WIDE.slice(10, 100).slice(7, 2)
    assert CODER.decode(CODER.encode(one)).to_pylist() == WIDE.to_pylist()[17:19]


def test_beam_takes_this_coder_for_batches_wherever_they_stand():
    coder_of = beam.coders.registry.get_coder
    assert isinstance(coder_of(pa.RecordBatch), RecordBatchCoder)
    keyed = coder_of(beam.typehints.Tuple[str, pa.RecordBatch])
    key, batch = keyed.decode(keyed.encode(("k", WIDE.slice(3, 2))))
    assert key == "k"
    assert batch.equals(WIDE.slice(3, 2))


def test_batches_are_no_keys():
    assert not CODER.is_deterministic()
    assert CODER.to_type_hint() is pa.RecordBatch
