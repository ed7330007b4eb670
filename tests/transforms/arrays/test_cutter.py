from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from tests.transforms.arrays.tokenizers_of_families import NAMES, TEXTS, changed, made, with_token
from transforms.arrays.cutter import Cutter
from transforms.arrays.engines import TokenizersEngine
from transforms.arrays.errors import Refusal
from transforms.arrays.families import find_family
from transforms.arrays.pieces import PiecesEngine

# One character and more of every class, and of those that look like another: contractions, brackets of
# special tokens, blanks that are no ASCII, control characters that some call blanks, marks that compose.
REPRESENTATIVES = [
    *"asT1.'_[( \t\n\r",
    "é", "\u0301", "한", "中", "²", "\u00a0", "\u3000", "\u200b", "\u2028", "\x0b", "\x1c", "\x85", "\x00", "…", "😀",
]  # fmt: skip


def cutter_of(tokenizer):
    return Cutter(tokenizer, find_family(tokenizer.to_str()))


def differing(tokenizer, texts):
    array = pa.array(texts, pa.string())
    ours, theirs = PiecesEngine(tokenizer).encode(array), TokenizersEngine(tokenizer).encode(array)
    same = np.array_equal(ours.offsets, theirs.offsets) and np.array_equal(ours.values, theirs.values)
    return [] if same else [t for t, a, b in zip(texts, ours.tolist(), theirs.tolist(), strict=True) if a != b]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_the_whole_for_all_short_texts_of_representatives(name):
    texts = ["".join(chosen) for length in (1, 2, 3) for chosen in product(REPRESENTATIVES, repeat=length)]
    assert differing(made(name), texts) == []


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_the_whole_around_every_pair_in_four_contexts(name):
    ends = ["a", " ", ".", "\n", "1", "한"]
    pairs = product(ends, REPRESENTATIVES, REPRESENTATIVES, ends)
    assert differing(made(name), ["".join(chosen) for chosen in pairs]) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_pre_token_and_no_token_spans_a_cut(name):
    tokenizer = made(name)
    cutter = cutter_of(tokenizer)
    # Offsets are told of the text itself only where the normalizer leaves it alone.
    plain = tokenizer.normalizer is None
    texts = [*TEXTS[:4], *("".join(chosen) for chosen in product("aS1.' \n한é", repeat=3))]
    for text in texts:
        data = np.frombuffer(text.encode(), np.uint8)
        places = [len(text.encode()[:byte].decode()) for byte in np.flatnonzero(cutter.cuts(data))]
        if plain:
            spans = [span for _, span in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
            assert not [(place, text) for place in places for start, stop in spans if start < place < stop]
        offsets = tokenizer.encode(text, add_special_tokens=False).offsets
        assert not [(place, text) for place in places for start, stop in offsets if start < place < stop]


@pytest.mark.parametrize("name", NAMES)
def test_text_is_cut_at_all(name):
    data = np.frombuffer("some words, and more words 한국어 문장 12".encode(), np.uint8)
    assert cutter_of(made(name)).cuts(data).sum() >= 6


def test_blanks_beyond_ascii_are_never_next_to_a_cut_where_runs_of_blanks_are_tokens():
    cutter = cutter_of(made("gpt-2"))
    for blank in "\u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\x0b\x1c\x1f":
        data = np.frombuffer(f"a{blank} b".encode(), np.uint8)
        assert not cutter.cuts(data).any(), repr(blank)


class Counting:
    """A tokenizer that counts how often it is asked."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.asked = 0

    def encode(self, *args, **options):
        self.asked += 1
        return self._tokenizer.encode(*args, **options)

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)


def test_characters_are_asked_about_once():
    tokenizer = Counting(made("gpt-2"))
    cutter = cutter_of(tokenizer)
    data = np.frombuffer("é é 한 한".encode(), np.uint8)
    before = tokenizer.asked
    cutter.cuts(data)
    asked = tokenizer.asked
    assert asked > before
    cutter.cuts(data)
    assert tokenizer.asked == asked


def test_added_tokens_are_never_cut_through():
    tokenizer = with_token(with_token(made("gpt-2"), "<|im_start|>"), "{{1.2}}")
    assert differing(tokenizer, ["a<|im_start|>b", "x {{1.2}} y {1.2}", "<|im_start|><|endoftext|> {{1.2}}{{"]) == []


@pytest.mark.parametrize(
    ("content", "flags", "reason"),
    [
        ("new york", {}, "could be cut through"),
        ("tok", {"single_word": True}, "single_word"),
        ("tok", {"rstrip": True}, "could be cut through"),
    ],
)
def test_added_token_that_needs_its_neighbours_is_refused(content, flags, reason):
    with pytest.raises(Refusal, match=reason):
        PiecesEngine(with_token(made("gpt-2"), content, **flags))


@pytest.mark.parametrize("flags", [{"lstrip": True}, {"rstrip": True}, {"lstrip": True, "rstrip": True}])
def test_added_token_that_takes_blanks_along_still_does(flags):
    tokenizer = with_token(made("gpt-2"), "<mask>", **flags)
    texts = [
        f"{a}{b}<mask>{c}{d}"
        for a in ("", "a", ".")
        for b in ("", " ", "  ", "\n ")
        for c in ("", " ", " \t")
        for d in "b."
    ]
    assert differing(tokenizer, texts) == []


def test_character_that_the_normalizer_turns_into_a_blank_is_found_by_asking():
    tokenizer = changed(
        made("unigram, metaspace"),
        normalizer={
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"String": "\u200b"}, "content": " "},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
    )
    assert differing(tokenizer, ["a\u200b b", "a\u200b  b", "\u200b b", "a b"]) == []


def test_lines_are_cut_where_their_ends_are_spaces_to_the_tokenizer():
    data = np.frombuffer(b"one\ntwo\tthree\r\nfour", np.uint8)
    for name, cuts in (("unigram, lines are spaces", 3), ("unigram, white space", 3), ("unigram, metaspace", 0)):
        assert int(cutter_of(made(name)).cuts(data).sum()) == cuts, name
