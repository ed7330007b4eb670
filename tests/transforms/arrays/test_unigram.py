import json
import string
from functools import cache
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from tests.transforms.arrays.tokenizers_of_families import TEXTS, changed, made, with_token
from transforms.arrays.engines import TokenizersEngine
from transforms.arrays.errors import Refusal
from transforms.arrays.unigram import GROUP, LONGEST, UnigramWords

MARK = "\u2581"
SPLITTERS = {
    "always": pre_tokenizers.Metaspace(),
    "first": pre_tokenizers.Metaspace(prepend_scheme="first"),
    "never": pre_tokenizers.Metaspace(prepend_scheme="never"),
    "always, not split": pre_tokenizers.Metaspace(split=False),
    "words": pre_tokenizers.WhitespaceSplit(),
    **{
        f"words, {scheme}": pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme=scheme)]
        )
        for scheme in ("always", "first", "never")
    },
}
NORMALIZERS = {
    "none": None,
    "NFKC": normalizers.NFKC(),
    "NFC": normalizers.NFC(),
    "Nmt": normalizers.Nmt(),
    "Lowercase": normalizers.Lowercase(),
    "runs of blanks": normalizers.Sequence([normalizers.Nmt(), normalizers.Replace(Regex(" {2,}"), " ")]),
    "quotes": normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]),
}
TRAINED = ("unigram, metaspace", "unigram, metaspace first", "unigram, spaces collapsed", "unigram, white space")
WORDS = sorted({prefix + word for text in TEXTS[:4] for word in text.split() for prefix in ("", " ")})


def unigram(vocabulary, splitter="always", normalizer="none", unk_id=0):
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id, False))
    tokenizer.pre_tokenizer = SPLITTERS[splitter]
    if NORMALIZERS[normalizer] is not None:
        tokenizer.normalizer = NORMALIZERS[normalizer]
    return tokenizer


def expected(tokenizer, pieces):
    return [encoding.ids for encoding in tokenizer.encode_batch(pieces, add_special_tokens=False)]


def assert_same(tokenizer, pieces, words=None):
    """Asserts that the pieces that are taken have the ids of `tokenizers`, and returns which were taken."""
    taken, ids = (words or UnigramWords(tokenizer)).encode(pa.array(pieces, pa.string()))
    rows = [row if took else [] for row, took in zip(expected(tokenizer, pieces), taken, strict=True)]
    assert ids.tolist() == rows
    assert ids.values.dtype == np.int32
    return taken.tolist()


@cache
def words_of(name):
    return UnigramWords(made(name))


VOCABULARIES = {
    "equal scores": [("<unk>", 0.0), *((t, -1.0) for t in (MARK, "a", "b", "aa", "ab", "ba", "aab", MARK + "a"))],
    "sums that are equal": [
        *(("<unk>", 0.0), (MARK, -1.0), ("a", -1.0), ("b", -1.0), ("ab", -2.0), ("aa", -2.0)),
        *(("ba", -2.0), ("aba", -3.0), (MARK + "a", -2.0), ("bab", -3.0)),
    ],
    "rounding": [("<unk>", 0.0), (MARK, -0.1), ("a", -0.1), ("aa", -0.2), ("aaa", -0.3), ("b", -0.7), ("ab", -0.8)],
    "no single character": [("<unk>", 0.0), ("ab", -1.0), ("aab", -2.5), (MARK + "b", -3.0), ("bb", -20.0)],
    "beginnings that are no tokens": [
        *(("<unk>", 0.0), (MARK, -1.0), ("a", -1.0), ("b", -1.5), ("ab", -1.2), ("abab", -2.0), ("bcab", -1.1)),
        (MARK + "abc", -2.1),
    ],
    "unknown among known": [("<unk>", 0.0), (MARK, -2.0), ("a", -1.0), ("cb", -1.5)],
    "unknown mark": [("<unk>", 0.0), ("a", -1.0), ("b", -1.5), ("ba", -1.5)],
    "scores above zero": [("<unk>", 0.0), (MARK, 1.0), ("a", 2.0), ("b", 0.5), ("ab", 3.0), ("ba", 2.5), ("c", -1.0)],
    "the same token twice": [("<unk>", 0.0), (MARK, -1.0), ("a", -3.0), ("b", -1.0), ("a", -1.0), ("ab", -2.0)],
    "nothing in ASCII": [("<unk>", 0.0), ("\u00e9", -1.0)],
    "only unknown": [("<unk>", 0.0)],
}


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize("splitter", ["always", "never", "words, first"])
def test_every_short_word_has_the_ids_of_tokenizers(name, splitter):
    words = ["".join(letters) for length in range(1, 7) for letters in product("abc", repeat=length)]
    tokenizer = unigram(VOCABULARIES[name], splitter)
    assert all(assert_same(tokenizer, words + [" " + word for word in words]))


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.one_of(st.floats(-50, 5), st.sampled_from([-1.0, -2.0, -0.1])), min_size=14, max_size=14),
    words=st.lists(st.text("abc", min_size=1, max_size=20), min_size=1, max_size=10),
)
def test_ids_are_those_of_tokenizers_for_any_scores(scores, words):
    tokens = ["<unk>", MARK, "a", "b", "ab", "ba", "aa", "abc", "cab", "bb", "aaa", "abab", MARK + "a", MARK + "ab"]
    assert all(assert_same(unigram(list(zip(tokens, scores, strict=True))), [" " + word for word in words]))


PIECES = st.builds(
    str.__add__,
    st.sampled_from(["", " ", "  ", "\t"]),
    st.one_of(
        st.text(string.ascii_letters + string.digits + string.punctuation, max_size=LONGEST + 2),
        st.lists(st.sampled_from(["test", "old", "er", "y", "'s", "I", "\u00e9", "<s>", "_", "\n"])).map("".join),
        st.sampled_from(WORDS),
        st.text(max_size=3),
    ),
)


@pytest.mark.parametrize("name", TRAINED)
@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(PIECES, max_size=20))
def test_ids_are_those_of_tokenizers_for_any_pieces(name, pieces):
    assert_same(made(name), pieces, words_of(name))


@pytest.mark.parametrize("name", TRAINED)
def test_words_of_ascii_are_taken(name):
    assert assert_same(made(name), WORDS) == [word.isascii() for word in WORDS]


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("splitter", SPLITTERS)
def test_marks_and_case_are_those_of_the_tokenizer(splitter, normalizer):
    tokens = [MARK, *"abAB", "ab", "aB", MARK + "a", MARK + "A", MARK + "AB", '"', "'", "a'"]
    vocabulary = [("<unk>", 0.0), *((token, -1.0 - 0.3 * i) for i, token in enumerate(tokens))]
    tokenizer = unigram(vocabulary, splitter, normalizer)
    pieces = ["ab", " ab", "AB", " AB", "aBBa", " bA", "c", " c", "''", " a''b", "``", "a`'"]
    taken = assert_same(tokenizer, pieces)
    assert taken == [normalizer != "quotes" or not ("''" in piece or "``" in piece) for piece in pieces]


def test_unknown_characters_in_a_row_are_one_token():
    tokenizer = unigram([("<unk>", 0.0), (MARK + "a", -1.0), ("b", -2.0)], unk_id=0)
    _, ids = UnigramWords(tokenizer).encode(pa.array([" axyb", " axbyz", "xy", " a??"]))
    assert ids.tolist() == [[1, 0, 2], [1, 0, 2, 0], [0], [1, 0]]


def test_of_two_equal_paths_the_one_whose_last_token_is_longer_is_best():
    tokenizer = unigram([("<unk>", 0.0), ("a", -1.0), ("aa", -2.0), ("aaa", -4.0)], "never")
    _, ids = UnigramWords(tokenizer).encode(pa.array(["aa", "aaa", "aaaa"]))
    assert ids.tolist() == [[2], [1, 2], [2, 2]]
    assert_same(tokenizer, ["aa", "aaa", "aaaa"])


@pytest.mark.parametrize(
    "piece", ["", " ", "  a", " a b", "a ", "\ta", "a\n", "a\x00", "a\x7f", "\u00e9", " na\u00efve", MARK, " " * 3]
)
def test_pieces_that_are_not_simple_are_left(piece):
    words = words_of("unigram, metaspace")
    taken, ids = words.encode(pa.array(["old", piece, " test", piece]))
    assert taken.tolist() == [True, False, True, False]
    first, second = expected(made("unigram, metaspace"), ["old", " test"])
    assert ids.tolist() == [first, [], second, []]


@pytest.mark.parametrize("name", TRAINED)
def test_pieces_are_taken_up_to_a_length(name):
    pieces = [blank + ("testolder!" * 4)[:length] for blank in ("", " ") for length in range(1, LONGEST + 3)]
    assert assert_same(made(name), pieces, words_of(name)) == [len(piece) <= LONGEST for piece in pieces]


def test_added_tokens_are_left_in_any_case():
    tokenizer = with_token(made("unigram, metaspace"), "Old")
    assert assert_same(tokenizer, ["Older", " bolder", "<mask>", "a<s>", "<s", " ol"]) == [False] * 4 + [True] * 2


@pytest.mark.parametrize("flags", [{"normalized": True}, {"normalized": False, "lstrip": True}, {"single_word": True}])
@settings(max_examples=50, deadline=None)
@given(pieces=st.lists(st.text("abAB+ \ufb01fi.", max_size=6), max_size=10))
def test_ids_are_those_of_tokenizers_whatever_is_added(flags, pieces):
    vocabulary = [("<unk>", 0.0), *((t, -1.0) for t in (MARK, "a", "b", "f", "i", "ab", "aB", "fi"))]
    tokenizer = unigram(vocabulary, normalizer="Lowercase")
    for content in ("aB", "+", "b.", "\ufb01", " f"):
        tokenizer = with_token(tokenizer, content, **flags)
    assert_same(tokenizer, pieces)


def test_added_token_that_normalizes_to_ascii_is_left():
    tokenizer = unigram([("<unk>", 0.0), ("a", -1.0), ("f", -1.0)], normalizer="NFKC")
    assert assert_same(with_token(tokenizer, "\ufb01", normalized=True), ["fi", "afia", "fa"]) == [False, False, True]


@pytest.mark.parametrize("unknown", ["a", "<unk>", MARK + "a", MARK])
def test_unknown_token_itself_is_left(unknown):
    tokenizer = unigram([("b", -1.0), (unknown, -1.0), ("ba", -1.0), ("x<unk>", -9.0)], unk_id=1)
    pieces = ["b", " b", "ba", " a", "x<unk>", "cab", "xx"]
    taken = assert_same(tokenizer, pieces)
    assert taken == [unknown.removeprefix(MARK) not in piece for piece in pieces]


def test_more_words_than_a_group_keep_their_order():
    pieces = [f" {i * 7919 % 100003:x}" + "old" * (i % 5) for i in range(3 * GROUP)]
    pieces[5], pieces[GROUP] = "\u00e9", " a b"
    taken = assert_same(made("unigram, metaspace"), pieces, words_of("unigram, metaspace"))
    assert taken.count(False) == 2


def test_slice_of_an_array_is_encoded_as_its_own_rows():
    words = words_of("unigram, metaspace")
    _, whole = words.encode(pa.array(["old", " test", "\u00e9", " years", "a"]))
    taken, ids = words.encode(pa.array(["old", " test", "\u00e9", " years", "a"]).slice(1, 3))
    assert taken.tolist() == [True, False, True]
    assert ids.tolist() == whole.tolist()[1:4]


@pytest.mark.parametrize("pieces", [[], [""], ["", ""], ["\u00e9"], ["\u00e9", " \u00e9\u00e9"]])
def test_nothing_to_take_gives_empty_rows(pieces):
    taken, ids = words_of("unigram, metaspace").encode(pa.array(pieces, pa.string()))
    assert taken.tolist() == [False] * len(pieces)
    assert ids.tolist() == [[]] * len(pieces)


def test_encoding_again_gives_the_same():
    words = words_of("unigram, metaspace")
    first = words.encode(pa.array([" test", "older"]))[1].tolist()
    words.encode(pa.array(["x" * n for n in range(1, LONGEST)]))
    assert words.encode(pa.array([" test", "older"]))[1].tolist() == first


def _model(**parts):
    tokenizer = made("unigram, metaspace")
    return changed(tokenizer, model=json.loads(tokenizer.to_str())["model"] | parts)


REFUSED = {
    "not Unigram": lambda: made("wordpiece, words"),
    "falls back to bytes": lambda: _model(byte_fallback=True),
    "no unknown token": lambda: _model(unk_id=None),
    "not logarithms": lambda: unigram([("<unk>", 10.5), ("a", 10.0), ("bc", 11.0)]),
    "pre-tokenizer is None": lambda: changed(made("unigram, metaspace"), pre_tokenizer=None),
    "pre-tokenizer is Whitespace": lambda: changed(made("unigram, metaspace"), pre_tokenizer={"type": "Whitespace"}),
    "make .'_0'. of '0'": lambda: changed(
        made("unigram, metaspace"),
        pre_tokenizer={"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True},
    ),
    "Prepend may change": lambda: changed(made("unigram, metaspace"), normalizer={"type": "Prepend", "prepend": "x"}),
    "Replace may change": lambda: changed(
        made("unigram, metaspace"), normalizer={"type": "Replace", "pattern": {"Regex": "a+"}, "content": "a"}
    ),
    "make .* of '5'": lambda: changed(
        made("unigram, metaspace"), normalizer={"type": "Replace", "pattern": {"String": "5"}, "content": " "}
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_tokenizer_that_is_not_simple_is_refused(reason):
    with pytest.raises(Refusal, match=reason):
        UnigramWords(REFUSED[reason]())


def test_model_that_draws_at_random_is_refused():
    tokenizer = unigram(VOCABULARIES["equal scores"])
    if not hasattr(tokenizer.model, "alpha"):
        pytest.skip("this release of tokenizers does not draw")
    tokenizer.model = models.Unigram(VOCABULARIES["equal scores"], 0, False, alpha=0.5)
    with pytest.raises(Refusal, match="at random"):
        UnigramWords(tokenizer)


def test_vocabulary_too_large_for_memory_is_refused(monkeypatch):
    monkeypatch.setattr("transforms.arrays.trie.TRIE_BYTES", 4000)
    with pytest.raises(Refusal, match="takes 6144 bytes, more than 4000"):
        UnigramWords(unigram(VOCABULARIES["equal scores"]))


def test_end_of_a_line_is_a_blank_where_the_tokenizer_takes_it_for_one():
    pieces = pa.array(["\nwords", "\twords", "\rwords", " words", "words", "\n words", "a\nb", "\n"])
    for name, some in (("unigram, lines are spaces", 5), ("unigram, spaces collapsed", 5), ("unigram, metaspace", 2)):
        taken, ids = UnigramWords(made(name)).encode(pieces)
        assert int(taken.sum()) == some
        theirs = TokenizersEngine(made(name)).encode(pieces).tolist()
        assert [row for row, took in zip(ids.tolist(), taken, strict=True) if took] == [
            row for row, took in zip(theirs, taken, strict=True) if took
        ]
