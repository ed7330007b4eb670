import io

import numpy as np
import pyarrow as pa
import pytest

from tests.poisonous import PoisonousEngine
from transforms.arrays.encoder import (
    CHECKED,
    FAILED,
    IDS,
    STOP,
    answer,
    from_ipc,
    read_frame,
    to_ipc,
    write_frame,
)
from transforms.arrays.errors import JobError
from transforms.arrays.guard import Guard
from transforms.arrays.plain import TokenizersEngine


@pytest.mark.parametrize("content", [b"", b"a", bytes(1 << 17), pa.py_buffer(b"of Arrow")], ids=len)
def test_frame_comes_out_as_it_went_in(content):
    stream = io.BytesIO()
    write_frame(stream, IDS, content)
    write_frame(stream, STOP, b"the next")
    stream.seek(0)
    assert read_frame(stream) == (IDS, bytes(memoryview(content)))
    assert read_frame(stream) == (STOP, b"the next")


@pytest.mark.parametrize("left", [0, 4, 9, 12])
def test_frame_that_ends_early_is_the_end(left):
    stream = io.BytesIO()
    write_frame(stream, IDS, b"abcd")
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(stream.getvalue()[:left]))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_array_goes_without_what_it_is_a_slice_of(kind):
    texts = pa.array([*("x" * 100_000 for _ in range(9)), "é", ""], kind).slice(9)
    spelled = to_ipc("text", texts)
    assert spelled.size < 1000
    assert from_ipc(spelled.to_pybytes()).column(0).equals(texts)


def test_answer_has_the_ids_and_how_many_were_compared(bert):
    plain = TokenizersEngine(bert.load())
    texts = pa.array(["hello world", "", "naïve"])
    kind, content = answer(Guard(plain, plain, share=1.0), texts)
    batch = from_ipc(memoryview(content))
    assert kind == IDS
    assert batch.column(0).to_pylist() == plain.encode(texts).tolist()
    assert batch.schema.metadata[CHECKED] == str(len(np.concatenate(plain.encode(texts).tolist()))).encode()


def test_answer_says_what_was_raised(bert):
    assert answer(PoisonousEngine(bert.load()), pa.array(["a panic! b"])) == (FAILED, b"ValueError: told to")

    class Wrong:
        name = "wrong"

        def encode(self, texts):
            raise JobError("other ids")

    assert answer(Wrong(), pa.array(["a"])) == (STOP, b"other ids")
