import msgspec
import numpy as np
import pyarrow as pa
import pytest

from tests.runs import words
from tests.transforms.arrays.tokenizers_of_families import made
from transforms.arrays.engines import TokenizersEngine, make_engine
from transforms.arrays.errors import ConfigError
from transforms.arrays.identity import row_ids
from transforms.arrays.ragged import Ragged
from transforms.tokenize import _Tokenize, tokenize


class Failing:
    """An engine that gives a text's bytes, and panics on those with an x."""

    name = "failing"

    def encode(self, texts):
        values = texts.to_pylist()
        if any("x" in value for value in values):
            raise PanicError("an x")
        return Ragged.of([list(value.encode()) for value in values])


class PanicError(BaseException):
    """As PyO3 raises them."""


def batch(**columns):
    count = len(next(iter(columns.values())))
    return pa.RecordBatch.from_pydict({"row_id": row_ids("a", np.arange(count)), **columns})


def test_ids_stand_beside_the_rows_without_special_tokens(alone):
    for one in alone["tokenized"]:
        assert one.schema.names == ["row_id", "text", "label", "input_ids"]
        assert one.schema.field("input_ids").type == pa.struct([("text", pa.list_(pa.int32()))])
        for row in one.to_pylist():
            assert row["input_ids"]["text"] == [int(word[1:]) + 4 for word in row["text"].split()]


def test_pairs_have_two_lists_of_ids():
    rows, letters = tokenize(batch(a=["ab", ""], b=["c", "de"]), Failing(), ("a", "b"))
    assert rows["input_ids"].to_pylist() == [
        {"text": [97, 98], "text_pair": [99]},
        {"text": [], "text_pair": [100, 101]},
    ]
    assert letters.num_rows == 0


def test_text_that_the_engine_fails_on_takes_no_other_with_it():
    rows, letters = tokenize(batch(a=["a", "x", "b", "c", "d"], b=["e", "f", "g", "hx", "i"]), Failing(), ("a", "b"))
    assert rows["a"].to_pylist() == ["a", "b", "d"]
    assert rows["input_ids"].to_pylist()[1] == {"text": [98], "text_pair": [103]}
    found = [(one["reason"], one["position"], one["message"]) for one in letters.to_pylist()]
    assert found == [("tokenizer_error", 1, "a: PanicError: an x"), ("tokenizer_error", 3, "b: PanicError: an x")]


def test_row_of_which_both_texts_fail_is_one_dead_letter():
    rows, letters = tokenize(batch(a=["x", "a"], b=["x", "b"]), Failing(), ("a", "b"))
    assert (rows.num_rows, letters.num_rows) == (1, 1)


def test_batch_of_which_nothing_is_left_is_not_sent_on(alone):
    step = _Tokenize(alone["tokenization"], ("text",))
    step._load = Failing
    (letters,) = step.process(batch(text=["x"]))
    assert letters.tag == "dead_letters"


def test_setup_loads_the_tokenizer_once_for_all_copies_of_a_step(alone):
    steps = [_Tokenize(alone["tokenization"], ("text",)) for _ in range(2)]
    steps[0].setup()
    steps[1]._load = None  # it needs none
    steps[1].setup()
    for step in steps:
        (rows,) = step.process(batch(text=[words(3)]))
        assert rows["input_ids"].to_pylist() == [{"text": [4, 5, 6]}]
        step.teardown()


def test_tokenizer_that_is_not_there_is_found_at_setup(alone):
    step = _Tokenize(msgspec.structs.replace(alone["tokenization"], tokenizer="nowhere"), ("text",))
    with pytest.raises(ConfigError, match="there is no file or folder nowhere"):
        step.setup()


def test_rows_without_an_identity_get_one_from_their_content():
    plain = pa.record_batch({"text": ["a", "b", "a"]})
    rows, _ = tokenize(plain, Failing(), ("text",))
    positions = [row["position"] for row in rows["row_id"].to_pylist()]
    assert positions[0] == positions[2] != positions[1]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
@pytest.mark.parametrize("engine", ["tokenizers", "pieces"])
def test_strings_of_any_arrow_type_are_encoded_and_compared(kind, engine):
    tokenizer = made("bert, uncased")
    texts = [f"some words and the number {i}" for i in range(3000)]
    column = pa.array(texts).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts).cast(kind)
    chosen = make_engine(tokenizer, engine)
    rows, letters = tokenize(pa.record_batch({"text": column}), chosen, ("text",))
    assert letters.num_rows == 0
    expected = TokenizersEngine(tokenizer).encode(pa.array(texts)).tolist()
    assert [row["text"] for row in rows["input_ids"].to_pylist()] == expected
    assert engine == "tokenizers" or chosen.take_checked() > 0
