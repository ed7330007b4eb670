import random
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.tokenizers_of_families import NAMES, TEXTS, made
from transforms.arrays.engines import TokenizersEngine
from transforms.arrays.pieces import LONGEST_HELD, PieceCache, PiecesEngine, gather_short
from transforms.arrays.ragged import Ragged

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


def test_cache_gives_rows_for_pieces_in_any_order_and_number():
    cache = PieceCache(made("gpt-2"))
    pieces = pa.array(["b", "a", "b", "", "c" * 300, "a"])
    expected = TokenizersEngine(made("gpt-2")).encode(pieces).tolist()
    assert cache.encode(pieces).tolist() == expected
    assert cache.encode(pieces).tolist() == expected
    assert np.array_equal(
        cache.encode(pieces.slice(4)).offsets, np.array([0, len(expected[4]), len(expected[4]) + len(expected[5])])
    )


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=5).flatmap(
        lambda rows: st.tuples(st.just(rows), st.lists(st.integers(0, len(rows) - 1), max_size=9))
    )
)
def test_short_rows_are_gathered_as_any_rows_are(case):
    rows, place = case
    ragged = Ragged.of(rows)
    taken = gather_short(ragged, np.array(place, np.int32))
    assert taken.tolist() == ragged.take(np.array(place, np.int64)).tolist() == [rows[i] for i in place]


def test_pieces_met_most_become_the_hot_ones_and_ids_stay_the_same(monkeypatch):
    monkeypatch.setattr("transforms.arrays.pieces.HOT_PIECES", 3)
    tokenizer = made("gpt-2")
    cache = PieceCache(tokenizer)
    oracle = TokenizersEngine(tokenizer)
    for batch in (["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"], ["e"] * 9 + ["f"] * 8 + ["a", "b"], ["g", "a", "e", "z"]):
        pieces = pa.array(batch)
        assert cache.encode(pieces).tolist() == oracle.encode(pieces).tolist()
    assert cache.hot.to_pylist() == ["e", "a", "g"]
    assert cache.encoded == 8


def test_batch_of_hot_pieces_alone_asks_nothing_else():
    cache = PieceCache(made("gpt-2"))
    pieces = pa.array([" one", " two", " one"])
    first = cache.encode(pieces).tolist()
    assert sorted(cache.hot.to_pylist()) == [" one", " two"]
    assert cache.encode(pieces).tolist() == first
    assert cache.encoded == 2


def test_long_piece_is_never_hot():
    cache = PieceCache(made("gpt-2"))
    cache.encode(pa.array(["x" * (LONGEST_HELD + 1)] * 3 + ["y"]))
    assert cache.hot.to_pylist() == ["y"]


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


def test_common_pieces_outlive_forgetting(monkeypatch):
    cache = PieceCache(made("gpt-2"), max_bytes=20_000)
    common = [f" c{i}" for i in range(20)]
    cache.encode(pa.array(common * 10))
    monkeypatch.setattr("transforms.arrays.pieces.COLD_SHARE", 1)  # nothing else becomes hot
    for start in range(0, 2000, 50):
        cache.encode(pa.array([f" r{i}" for i in range(start, start + 50)]))
        assert cache.held_bytes < 20_000 + 50 * 250
    before = cache.encoded
    assert before == 20 + 2000
    assert cache.encode(pa.array(common)).tolist() == TokenizersEngine(made("gpt-2")).encode(pa.array(common)).tolist()
    assert cache.encoded == before


def test_hot_pieces_are_forgotten_too_where_they_are_most_of_what_may_be_held():
    cache = PieceCache(made("gpt-2"), max_bytes=1_000)
    cache.encode(pa.array([f" c{i}" for i in range(20)]))
    assert cache.held_bytes > 1_000
    cache.encode(pa.array([" new"]))
    assert cache.hot.to_pylist() == [" new"]
