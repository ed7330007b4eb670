import pytest
from tokenizers import normalizers, pre_tokenizers

from tests.transforms.arrays.tokenizers_of_families import changed, made
from transforms.arrays.errors import Refusal
from transforms.arrays.families import find_family
from transforms.arrays.pieces import PiecesEngine

BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
UNSPLIT = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": False}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gpt-2", {"pre_tokenizer": None}),
        ("gpt-2", {"pre_tokenizer": BYTES}),
        ("gpt-2", {"normalizer": {"type": "Prepend", "prepend": "x"}}),
        ("gpt-2", {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}}),
        ("unigram, metaspace", {"pre_tokenizer": UNSPLIT}),
        ("wordpiece, words", {"pre_tokenizer": {"type": "Punctuation", "behavior": "Isolated"}}),
        ("bert, uncased", {"pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "-"}}),
    ],
)
def test_tokenizer_outside_the_families_is_refused(name, parts):
    with pytest.raises(Refusal, match="no family"):
        PiecesEngine(changed(made(name), **parts))


def test_normalizers_and_pre_tokenizers_in_use_are_those_of_the_library():
    # The names that the families go by are what the library writes.
    assert '"type":"NFC"' in changed(made("gpt-2 with NFC")).to_str()
    assert isinstance(made("gpt-2 with NFC").normalizer, normalizers.NFC)
    assert isinstance(made("gpt-2").pre_tokenizer, pre_tokenizers.ByteLevel)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("bert, cased", "bert"),
        ("gpt-2 with NFC", "byte-level, GPT-2"),
        ("cl100k 0", "byte-level, cl100k"),
        ("unigram, metaspace first", "words after spaces"),
        ("wordpiece, words", "words after spaces"),
    ],
)
def test_family_is_told_by_normalizer_pre_tokenizer_and_model(name, family):
    assert find_family(made(name).to_str()).name == family
