import random
from functools import cache

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.tokenizers_of_families import NAMES, TEXTS, made
from transforms.arrays.engines import TokenizersEngine
from transforms.arrays.piece_cache import LONGEST_HELD
from transforms.arrays.pieces import PiecesEngine

PARTS = st.one_of(
    st.sampled_from([" ", "  ", "\n", "\t", ".", "'s", "don't", "123", "<|endoftext|>", "[MASK]", "[", "]", "\u00a0"]),
    st.text(max_size=4),
    st.sampled_from(TEXTS[:4]),
)


@cache
def engine_of(name):
    """One engine a tokenizer, so that its cache is met warm too."""
    return PiecesEngine(made(name))


def ids(engine, texts):
    return engine.encode(pa.array(texts, pa.string())).tolist()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.lists(PARTS, max_size=6).map("".join), max_size=5))
def test_ids_are_those_of_tokenizers_for_any_texts(name, texts):
    assert ids(engine_of(name), texts) == ids(TokenizersEngine(made(name)), texts)


def test_no_text_and_empty_texts_have_no_ids():
    engine = PiecesEngine(made("gpt-2"))
    assert ids(engine, []) == []
    assert ids(engine, ["", ""]) == [[], []]
    assert ids(engine, ["", "a", ""]) == [[], ids(engine, ["a"])[0], []]


def test_slice_of_an_array_is_encoded_as_its_own_rows():
    engine = PiecesEngine(made("gpt-2"))
    array = pa.array(["one two", "three", "four five", ""])
    assert engine.encode(array.slice(1, 2)).tolist() == ids(engine, ["three", "four five"])


def test_piece_that_was_met_before_is_not_encoded_again():
    engine = PiecesEngine(made("gpt-2"))
    ids(engine, ["some words and some words"])
    assert engine.cache.encoded == 4  # "some", " words", " and", " some"
    ids(engine, [" words some", "some and words"])
    assert engine.cache.encoded == 4


def test_long_piece_is_encoded_but_not_held():
    engine = PiecesEngine(made("gpt-2"))
    text = "x" * (LONGEST_HELD + 1)
    first = ids(engine, [text, "short"])
    assert ids(engine, [text, "short"]) == first == ids(TokenizersEngine(made("gpt-2")), [text, "short"])
    assert engine.cache.encoded == 3


def test_what_is_held_stays_below_the_bound_and_ids_stay_right():
    bound = 200_000
    tokenizer = made("gpt-2")
    engine = PiecesEngine(tokenizer, bound)
    generator = random.Random(0)
    highest = 0
    for _ in range(60):
        words = ["".join(generator.choices("abcdefghij", k=8)) for _ in range(200)]
        text = " ".join(words)
        assert ids(engine, [text]) == ids(TokenizersEngine(tokenizer), [text])
        highest = max(highest, engine.cache.held_bytes)
    assert engine.cache.encoded * 200 > 10 * bound  # ten times what may be held went through
    assert highest < bound + 200 * 300  # the bound and one batch


@pytest.mark.parametrize("window", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("name", ["bert, uncased", "gpt-2"])
def test_ids_do_not_depend_on_the_windows_in_which_texts_are_cut(name, window, monkeypatch):
    texts = [*TEXTS, "", "\u4e2d\u6587\U0001f600 \U0001f600a", "x" * 40, "one two", ""]
    expected = ids(engine_of(name), texts)
    monkeypatch.setattr("transforms.arrays.pieces.WINDOW_BYTES", window)
    assert ids(PiecesEngine(made(name)), texts) == expected
    array = pa.array(texts, pa.string())
    assert PiecesEngine(made(name)).encode(array.slice(3)).tolist() == expected[3:]


def test_long_text_is_cut_in_windows(monkeypatch):
    monkeypatch.setattr("transforms.arrays.pieces.WINDOW_BYTES", 100)
    engine = PiecesEngine(made("gpt-2"))
    sizes = []
    encode = engine.cache.encode
    monkeypatch.setattr(engine.cache, "encode", lambda pieces: sizes.append(len(pieces)) or encode(pieces))
    ids(engine, ["word " * 1000])
    assert max(sizes) <= 20
    assert sum(sizes) == 1001
