import json
import os
import random
import subprocess
import sys
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from tests.transforms.arrays.tokenizers_of_families import TEXTS, changed, made, with_token
from transforms.arrays import giga
from transforms.arrays.characters import CharacterFinder
from transforms.arrays.engines import TokenizersEngine, choose_engine, make_engine
from transforms.arrays.errors import ConfigError, NotInstalled, Refusal
from transforms.arrays.giga import GigatokenEngine, private_bytes
from transforms.arrays.guard import SHARE, Guard
from transforms.arrays.probe import probe_texts

PREFIXED = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
LLAMA_2 = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    ],
}


def byte_fallback(**parts):
    """A tokenizer as of SentencePiece: words, and bytes for what is in none."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, limit_alphabet=60, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    spec = json.loads(tokenizer.to_str())
    vocab = spec["model"]["vocab"]
    vocab |= {f"<0x{byte:02X}>": len(vocab) + byte for byte in range(256)}
    return Tokenizer.from_str(json.dumps(spec | parts))


def metaspace(scheme, split):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}


MADE = {
    "gpt-2": lambda: made("gpt-2"),
    "gpt-2 with a prefix space": lambda: changed(made("gpt-2"), pre_tokenizer=PREFIXED),
    "gpt-2 with NFC": lambda: made("gpt-2 with NFC"),
    "cl100k": lambda: made("cl100k 1"),
    "llama 3": lambda: with_token(made("cl100k 0"), "<|begin_of_text|>", normalized=False),
    "qwen": lambda: changed(made("cl100k 2"), normalizer={"type": "NFC"}),
    "llama 2": lambda: byte_fallback(normalizer=LLAMA_2, pre_tokenizer=None),
    "mistral": lambda: byte_fallback(normalizer=None, pre_tokenizer=metaspace("first", False)),
    "byte fallback, words": lambda: byte_fallback(normalizer=None, pre_tokenizer=metaspace("always", True)),
}
NAMES = tuple(MADE)


@cache
def tokenizer_of(name):
    return MADE[name]()


@cache
def engine_of(name):
    return GigatokenEngine(tokenizer_of(name))


def ids(engine, texts, kind=None):
    return engine.encode(pa.array(texts, kind or pa.string())).tolist()


def differing(tokenizer, texts, engine=None):
    array = pa.array(texts, pa.string())
    ours, theirs = (engine or GigatokenEngine(tokenizer)).encode(array), TokenizersEngine(tokenizer).encode(array)
    same = np.array_equal(ours.offsets, theirs.offsets) and np.array_equal(ours.values, theirs.values)
    return [] if same else [t for t, a, b in zip(texts, ours.tolist(), theirs.tolist(), strict=True) if a != b]


PARTS = st.one_of(
    st.sampled_from([" ", "  ", "\n", "\t", ".", "'s", "don't", "123", "<|endoftext|>", "</s>", "<s>", "\u00a0"]),
    st.text(max_size=4),
    st.sampled_from(TEXTS[:4]),
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.lists(PARTS, max_size=6).map("".join), max_size=5))
def test_ids_are_those_of_tokenizers_for_any_texts(name, texts):
    assert ids(engine_of(name), texts) == ids(TokenizersEngine(tokenizer_of(name)), texts)


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_tokenizers_for_ten_thousand_awkward_texts(name):
    tokenizer = tokenizer_of(name)
    assert differing(tokenizer, probe_texts(tokenizer, 10_000, seed=7), engine_of(name)) == []


@pytest.mark.parametrize("name", ["qwen", "llama 2"])
def test_ids_are_those_of_tokenizers_for_every_character_there_is(name):
    characters = [chr(point) for point in range(0x33500) if not 0xD800 <= point < 0xE000]
    texts = [
        "".join(f"a{c}1{c}.{c}A{c} {c}\u0323 '{c}" for c in characters[i : i + 40])
        for i in range(0, len(characters), 40)
    ]
    assert differing(tokenizer_of(name), texts, engine_of(name)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gpt-2", "a\U00010940b"),  # a letter since Unicode 17
        ("qwen", "a\u0c3c\u0301\u0323"),  # a mark since Unicode 14: marks are put in order
        ("qwen", "\U00011935\U00011930"),  # composed since Unicode 13
    ],
)
def test_row_with_a_character_that_the_two_know_differently_is_encoded_by_tokenizers(name, text):
    texts = ["before", f"x {text} y", "", f"{text}{text}", "after"]
    assert differing(tokenizer_of(name), texts, engine_of(name)) == []


def test_those_characters_are_why():
    # Should this fail, gigatoken and tokenizers have come to agree, and rows need not be looked through any more.
    engine = GigatokenEngine(tokenizer_of("qwen"))
    engine._young = CharacterFinder(np.zeros(0x110000, bool))
    texts = ["a\u0c3c\u0301\u0323", "\U00011935\U00011930", "plain"]
    assert differing(tokenizer_of("qwen"), texts, engine) == texts[:2]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("name", ["gpt-2", "llama 2"])
def test_texts_are_encoded_whatever_their_array_is_like(name, kind):
    engine, texts = engine_of(name), ["one two", "", "naïve 漢字 🎉", "four five", ""]
    expected = ids(TokenizersEngine(tokenizer_of(name)), texts)
    assert ids(engine, texts, kind) == expected
    array = pa.array(["cut", *texts, "off"], kind)
    assert engine.encode(array.slice(1, 5)).tolist() == expected
    assert engine.encode(array.slice(3, 1)).tolist() == expected[2:3]
    assert engine.encode(array.slice(2, 0)).tolist() == []
    assert ids(engine, [], kind) == []
    assert ids(engine, ["", ""], kind) == [[], []]


def test_ids_are_int32_and_offsets_int64():
    for texts in ([], [""], ["a b"]):
        encoded = engine_of("gpt-2").encode(pa.array(texts, pa.string()))
        assert (encoded.values.dtype, encoded.offsets.dtype) == (np.int32, np.int64)


def test_large_batch_is_encoded_in_slices_of_whole_rows(monkeypatch):
    monkeypatch.setattr(giga, "SLICE_BYTES", 10)
    texts = ["short", "", "a text of more than ten bytes", "x", "", "two words \U00010940", ""]
    assert differing(tokenizer_of("gpt-2"), texts) == []
    assert differing(tokenizer_of("gpt-2"), texts[2:3]) == []


def test_very_long_texts_come_out_right():
    word, line = "x" * 300_000, "some words, and 12 more\n" * 20_000
    assert differing(tokenizer_of("gpt-2"), [word, line, "<|endoftext|>" * 20_000], engine_of("gpt-2")) == []


def test_bytes_that_are_no_text_fail_before_gigatoken_trusts_them():
    bad = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xed\xa0"))
    with pytest.raises(pa.ArrowInvalid, match="UTF8"):
        engine_of("llama 2").encode(bad)


def test_template_adds_nothing_and_added_tokens_in_the_text_are_found():
    tokenizer = Tokenizer.from_str(made("gpt-2").to_str())
    special = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A <|endoftext|>", special_tokens=[("<|endoftext|>", special)]
    )
    assert tokenizer.encode("a").ids[0] == special
    assert differing(tokenizer, ["a", "", "<|endoftext|>a<|endoftext|> b", "<|endoftext|"]) == []
    assert ids(GigatokenEngine(tokenizer), ["<|endoftext|>"]) == [[special]]


@pytest.mark.parametrize("name", ["gpt-2", "llama 2"])
@pytest.mark.parametrize("normalized", [False, True])
def test_added_tokens_are_found_before_or_after_normalizing(name, normalized):
    tokenizer = with_token(with_token(tokenizer_of(name), "new york", normalized=normalized), "<x>", normalized=True)
    assert differing(tokenizer, ["in new york.", "new yorkers", "new  york", "<x>new york<x>", " <x> "]) == []


def part(tokenizer, **parts):
    """A tokenizer with keys of its model replaced."""
    return changed(tokenizer, model=json.loads(tokenizer.to_str())["model"] | parts)


SPLIT = json.loads(made("cl100k 0").to_str())["pre_tokenizer"]
DIGITS = {"type": "Digits", "individual_digits": True}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}

REFUSED = {
    "WordPiece": (lambda: made("bert, cased"), "^its model is WordPiece, not BPE$"),
    "Unigram": (lambda: made("unigram, metaspace"), "^its model is Unigram, not BPE$"),
    "dropout": (lambda: part(made("gpt-2"), dropout=0.5), "^its model has dropout 0.5$"),
    "prefix": (
        lambda: Tokenizer(models.BPE({"a": 0, "##a": 1}, [], continuing_subword_prefix="##")),
        "has continuing_subword_prefix '##'",
    ),
    "suffix": (lambda: part(made("gpt-2"), end_of_word_suffix="</w>"), "has end_of_word_suffix '</w>'"),
    "lstrip": (lambda: with_token(made("gpt-2"), "<m>", lstrip=True), r"'<m>' looks at its neighbours \(lstrip\)"),
    "rstrip": (lambda: with_token(made("gpt-2"), "<m>", rstrip=True), r"'<m>' looks at its neighbours \(rstrip\)"),
    "single_word": (lambda: with_token(made("gpt-2"), "zq", single_word=True), r"'zq' looks at.*\(single_word\)"),
    "normalized": (lambda: with_token(made("gpt-2 with NFC"), "é", normalized=True), "'é' is looked for in the norm"),
    "overlap": (
        lambda: with_token(with_token(made("gpt-2"), "abc", normalized=True), "cd", normalized=False),
        r"'abc' \(normalized\) overlaps 'cd', which is looked for first",
    ),
    "no pre-tokenizer": (lambda: changed(made("gpt-2"), pre_tokenizer=None), "its pre-tokenizer is not ByteLevel"),
    "unsplit": (lambda: changed(made("gpt-2"), pre_tokenizer=BYTES), "splits, or adds a space, where gigatoken does"),
    "split twice": (
        lambda: changed(
            made("cl100k 0"), pre_tokenizer=SPLIT | {"pretokenizers": [SPLIT["pretokenizers"][0], PREFIXED]}
        ),
        "splits, or adds a space, where gigatoken does not",
    ),
    "digits": (
        lambda: changed(
            made("cl100k 0"), pre_tokenizer=SPLIT | {"pretokenizers": [SPLIT["pretokenizers"][0], DIGITS, BYTES]}
        ),
        "has a part that gigatoken passes over: Digits",
    ),
    "merged": (
        lambda: changed(
            made("cl100k 0"),
            pre_tokenizer=SPLIT
            | {"pretokenizers": [SPLIT["pretokenizers"][0] | {"behavior": "MergedWithNext"}, BYTES]},
        ),
        "has a part that gigatoken passes over: Split",
    ),
    "normalizer": (lambda: made("gpt-2 with NFKC"), "^gigatoken says: Unsupported normalizer type: NFKC$"),
    "expression": (lambda: made("cl100k 3"), "^gigatoken says: Unknown pre_tokenizer Split regexes"),
    "no bytes": (lambda: part(made("gpt-2"), byte_fallback=True), "has neither the byte <0x"),
    "lowercase": (
        lambda: byte_fallback(normalizer={"type": "Lowercase"}),
        "^gigatoken says: Unsupported normalizer type for SentencePiece tokenizers: Lowercase$",
    ),
    "precompiled": (
        lambda: byte_fallback(normalizer=json.loads(normalizer_of_characters())),
        r"^its normalizer goes by a table of characters \(Precompiled\)$",
    ),
}


def normalizer_of_characters():
    """A Precompiled normalizer with an empty table."""
    return json.dumps({"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="})


@pytest.mark.parametrize("case", REFUSED)
def test_tokenizer_that_gigatoken_does_not_take_or_would_encode_otherwise_is_refused(case):
    make, reason = REFUSED[case]
    with pytest.raises(Refusal, match=reason):
        GigatokenEngine(make())


def test_expression_that_keeps_what_it_matches_is_the_same_as_one_that_isolates_it():
    split, last = SPLIT["pretokenizers"]
    kept = SPLIT | {"pretokenizers": [split | {"behavior": "Removed", "invert": True}, last]}
    tokenizer = changed(made("cl100k 0"), pre_tokenizer=kept)
    assert differing(tokenizer, probe_texts(tokenizer)) == []


def test_each_of_these_refusals_is_needed(monkeypatch):
    # What gigatoken alone takes and gives other ids for; a refusal that is not needed any more shows here.
    monkeypatch.setattr(giga, "refuse_what_differs", lambda spec: None)
    texts = ["x <m> y", "azq zq", "ae\u0301b", "abcd", "a b c", "it's 1234 words"]
    for case in ("single_word", "normalized", "overlap", "no pre-tokenizer", "digits", "suffix"):
        assert differing(REFUSED[case][0](), texts) != [], case


def test_it_is_the_first_that_is_tried_and_the_reason_says_so():
    choice = choose_engine(made("gpt-2"))
    assert (choice.name, choice.reason) == ("gigatoken", "the fastest that takes this tokenizer")
    assert isinstance(choice.engine, Guard)
    assert choose_engine(made("gpt-2"), "gigatoken").reason == "asked for"
    choice = choose_engine(made("gpt-2 with NFKC"))
    assert choice.name == "pieces"
    assert choice.reason == (
        "gigatoken does not take it: gigatoken says: Unsupported normalizer type: NFKC; "
        "the fastest that takes this tokenizer"
    )


@pytest.mark.parametrize("package", ["gigatoken.gigatoken_rs", "awkward"])
def test_without_the_package_auto_goes_on_and_a_request_for_it_names_the_extra(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotInstalled):
        GigatokenEngine(made("gpt-2"))
    choice = choose_engine(made("gpt-2"))
    assert choice.name == "pieces"
    assert choice.reason == (
        "gigatoken is not installed (pip install 'oblong[fast]'); the fastest that takes this tokenizer"
    )
    with pytest.raises(ConfigError) as error:
        choose_engine(made("gpt-2"), "gigatoken")
    assert str(error.value) == "tokenize.engine: gigatoken is not installed: pip install 'oblong[fast]'"


def test_tokenizer_that_it_would_not_take_anyway_is_refused_for_that(monkeypatch):
    monkeypatch.setitem(sys.modules, "gigatoken.gigatoken_rs", None)
    assert choose_engine(made("bert, cased")).reason.startswith("gigatoken does not take it: its model is WordPiece")


def test_where_memory_cannot_be_watched_it_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(giga, "STATM", tmp_path / "statm")
    with pytest.raises(Refusal, match=r"^its memory cannot be watched here: there is no "):
        GigatokenEngine(made("gpt-2"))


def test_package_is_not_imported_before_it_is_wanted():
    check = "import sys, transforms.arrays.engines; print(*{'gigatoken', 'awkward', 'numba'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", check], capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("", "")


def random_words(generator, count):
    """One text of words that were never seen, nine bytes each."""
    letters = generator.integers(ord("a"), ord("z") + 1, (count, 9), dtype=np.uint8)
    letters[:, 0] = ord(" ")
    return pa.array([letters.tobytes().decode()])


def grown(bound, batches):
    """Encodes words never seen, and says by how much the process grew at most, and how often it began anew."""
    tokenizer = made("gpt-2")
    engine, generator = GigatokenEngine(tokenizer, bound), np.random.default_rng(0)
    start = private_bytes()
    highest = 0
    for _ in range(batches):
        texts = random_words(generator, 30_000)
        encoded = engine.encode(texts)
        highest = max(highest, private_bytes() - start)
        part = pa.array([texts[0].as_py()[:2700]])
        expected = TokenizersEngine(tokenizer).encode(part).values
        assert encoded.values[: len(expected) - 1].tolist() == expected[:-1].tolist()
    return highest, engine.made


def test_words_never_seen_for_ten_times_the_bound_leave_memory_flat_and_ids_right():
    bound = 16 << 20
    batches = 90  # of 30,000 words, each of which gigatoken remembers in some 64 bytes: 173 MB
    unbounded, made_once = grown(1 << 40, batches)
    assert made_once == 1
    assert unbounded > 8 * bound
    highest, often = grown(bound, batches)
    assert highest < 3 * bound  # a table doubles before it is seen to be too large
    assert often > 4


def test_words_that_come_again_are_no_reason_to_begin_anew():
    engine, generator = GigatokenEngine(made("gpt-2"), 32 << 20), random.Random(0)
    words = ["".join(generator.choices("abcdefghij", k=6)) for _ in range(20_000)]
    for _ in range(40):
        engine.encode(pa.array([" ".join(generator.choices(words, k=50_000))]))
    assert engine.made == 1


def test_byte_fallback_remembers_nothing_from_one_batch_to_the_next():
    engine, generator = GigatokenEngine(tokenizer_of("llama 2")), np.random.default_rng(0)
    engine.encode(random_words(generator, 30_000))
    start = private_bytes()
    for _ in range(30):
        engine.encode(random_words(generator, 30_000))
    assert private_bytes() - start < 30 << 20
    assert engine.made == 1


def test_page_size_is_the_system_s():
    assert private_bytes() % os.sysconf("SC_PAGE_SIZE") == 0
    assert private_bytes() > 10 << 20


def test_it_is_checked_on_fewer_rows_than_slower_engines():
    guard = make_engine(made("gpt-2"), "gigatoken")
    assert isinstance(guard, Guard)
    assert guard._share == GigatokenEngine.checked_share == 1 / 4000
    assert make_engine(made("gpt-2"), "pieces")._share == SHARE > 1 / 4000


def test_nfc_is_what_the_third_family_normalizes_to():
    assert isinstance(tokenizer_of("qwen").normalizer, normalizers.NFC)
