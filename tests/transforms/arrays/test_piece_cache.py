import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.arrays.tokenizers_of_families import made
from transforms.arrays.engines import TokenizersEngine
from transforms.arrays.piece_cache import LONGEST_HELD, PieceCache, gather_short
from transforms.arrays.ragged import Ragged


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
    monkeypatch.setattr("transforms.arrays.piece_cache.HOT_PIECES", 3)
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


def test_common_pieces_outlive_forgetting(monkeypatch):
    cache = PieceCache(made("gpt-2"), max_bytes=20_000)
    common = [f" c{i}" for i in range(20)]
    cache.encode(pa.array(common * 10))
    monkeypatch.setattr("transforms.arrays.piece_cache.COLD_SHARE", 1)  # nothing else becomes hot
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


def test_model_that_knows_many_words_at_once_is_asked_before_tokenizers():
    tokenizer = made("bert, uncased")
    cache = PieceCache(tokenizer)
    pieces = pa.array(["the", " quick", " na\u00efve", ".", " quick", "x" * (LONGEST_HELD + 1)])
    assert cache.encode(pieces).tolist() == TokenizersEngine(tokenizer).encode(pieces).tolist()
    assert cache.encoded == 1  # " naïve"
    assert "the" in cache.hot.to_pylist()
    cache.encode(pieces)
    assert cache.encoded == 1
