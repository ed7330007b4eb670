"""Engines, and the search for the one text that an engine cannot take."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from tests.transforms.arrays.test_guard import Wrong
from tests.transforms.arrays.tokenizers_of_families import changed, made, with_token
from transforms.arrays.engines import (
    ENGINES,
    Failure,
    Tokenization,
    TokenizersEngine,
    choose_engine,
    encode_or_bisect,
    make_engine,
)
from transforms.arrays.errors import ConfigError
from transforms.arrays.guard import Guard
from transforms.arrays.ragged import Ragged


class Panic(BaseException):
    """As a panic in Rust comes to Python: no Exception."""


class Picky:
    """Gives a text its characters, and fails on texts with an "x" or a "!"."""

    name = "picky"

    def __init__(self) -> None:
        self.calls = self.failures = 0

    def encode(self, texts: Any) -> Ragged:
        self.calls += 1
        for text in texts.to_pylist():
            self.failures += bool({"x", "!"} & set(text))
            if "x" in text:
                raise ValueError(f"cannot take {text}")
            if "!" in text:
                raise Panic(f"panicked at {text}")
        return Ragged.of([[ord(c) for c in text] for text in texts.to_pylist()])


def ids(text: str) -> list[int]:
    return [] if {"x", "!"} & set(text) else [ord(c) for c in text]


@pytest.mark.parametrize(
    ("texts", "failures"),
    [
        ([], []),
        (["a"], []),
        (["x"], [Failure(0, "ValueError: cannot take x")]),
        (["!"], [Failure(0, "Panic: panicked at !")]),
        (["a", "bx", "c"], [Failure(1, "ValueError: cannot take bx")]),
        (["x", "a", "", "!"], [Failure(0, "ValueError: cannot take x"), Failure(3, "Panic: panicked at !")]),
    ],
)
def test_a_text_that_fails_or_panics_takes_no_other_with_it(texts, failures):
    encoded, found = encode_or_bisect(Picky(), pa.array(texts, pa.string()))
    assert found == failures
    assert encoded.tolist() == [ids(text) for text in texts]


@given(st.lists(st.text("ab!x", max_size=3), max_size=40))
@settings(max_examples=60, deadline=None)
def test_all_other_rows_come_through_in_order(texts):
    encoded, failures = encode_or_bisect(Picky(), pa.array(texts, pa.string()))
    assert encoded.tolist() == [ids(text) for text in texts]
    assert [failure.row for failure in failures] == [k for k, t in enumerate(texts) if {"x", "!"} & set(t)]


def test_one_bad_text_among_a_thousand_is_found_in_few_failures():
    engine = Picky()
    encoded, failures = encode_or_bisect(engine, pa.array(["a"] * 700 + ["x"] + ["b"] * 323))
    assert [failure.row for failure in failures] == [700]
    assert encoded.rows == 1024
    assert engine.failures == 3  # all, 32 of them, one of them
    assert engine.calls == 1 + 2 * 32


def test_panic_of_the_library_itself_takes_no_other_text_with_it():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    # Its engine of regular expressions gives up on what backtracks too much, and that is a panic.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"(x+x+)+y"), "isolated")
    texts = ["a"] * 100
    texts[70] = "x" * 200 + "z"
    encoded, failures = encode_or_bisect(TokenizersEngine(tokenizer), pa.array(texts))
    assert failures == [Failure(70, "PanicException: Onig: Regex search error: retry-limit-in-match over")]
    assert encoded.tolist() == [[] if i == 70 else [0] for i in range(100)]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
def test_the_user_s_interruption_is_no_failure_of_a_text(signal):
    class Interrupted(Picky):
        def encode(self, texts: Any) -> Ragged:
            raise signal

    with pytest.raises(signal):
        encode_or_bisect(Interrupted(), pa.array(["a", "b"]))


def test_an_engine_that_fails_on_no_texts_at_all_is_broken_and_says_so():
    class Broken(Picky):
        def encode(self, texts: Any) -> Ragged:
            raise ValueError("always")

    with pytest.raises(ValueError, match="always"):
        encode_or_bisect(Broken(), pa.array([], pa.string()))
    _, failures = encode_or_bisect(Broken(), pa.array(["a", "b", "c"]))
    assert failures == [Failure(k, "ValueError: always") for k in range(3)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_tokenizers_engine_gives_the_library_s_ids_without_special_tokens(any_tokenizer, kind):
    texts = ["", " ", "Hello, world", "naïve 漢字 🎉\u200d", "[SEP] </s>", "a\0b\r\n", "word " * 300]
    tokenizer = any_tokenizer.load()
    encoded = TokenizersEngine(tokenizer).encode(pa.array(["cut off", *texts], kind).slice(1))
    assert encoded.tolist() == [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert (encoded.values.dtype, encoded.offsets.dtype) == (np.int32, np.int64)
    assert TokenizersEngine(tokenizer).encode(pa.array([], kind)).tolist() == []


def test_engines_are_found_by_name(any_tokenizer):
    assert make_engine(any_tokenizer.load(), "tokenizers").name == "tokenizers"
    with pytest.raises(ConfigError, match=r"^tokenize\.engine: 'tokenizer' is not known; did you mean tokenizers\?"):
        Tokenization(engine="tokenizer")
    assert Tokenization(engine="auto").engine == "auto"


def test_auto_takes_the_fastest_engine_that_takes_the_tokenizer(bert):
    choice = choose_engine(bert.load())
    reason = "gigatoken does not take it: its model is WordPiece, not BPE; the fastest that takes this tokenizer"
    assert (choice.name, choice.reason) == ("pieces", reason)
    assert isinstance(choice.engine, Guard)


def test_auto_falls_back_on_tokenizers_and_says_why():
    tokenizer = changed(made("gpt-2"), pre_tokenizer=None)
    choice = choose_engine(tokenizer)
    assert choice.name == "tokenizers"
    assert choice.reason == (
        "gigatoken does not take it: its pre-tokenizer is not ByteLevel; pieces does not take it: its normalizer, "
        "pre-tokenizer and model are of no family that can be cut; the fastest that takes this tokenizer"
    )


PLAIN = {
    "no family": (lambda: changed(made("bert, cased"), pre_tokenizer=None), "are of no family that can be cut"),
    "a blank inside": (lambda: with_token(made("bert, cased"), "new york"), "'new york' could be cut through"),
    "single_word": (
        lambda: with_token(made("bert, cased"), "tok", single_word=True),
        r"'tok' looks at the letters around it \(single_word\)",
    ),
    "rstrip": (lambda: with_token(made("bert, cased"), "tok", rstrip=True), "'tok' could be cut through"),
    "lstrip": (
        lambda: with_token(made("bert, cased"), "\u2581tok", lstrip=True),
        r"'\u2581tok' takes blanks along \(lstrip\)",
    ),
}


@pytest.mark.parametrize("case", PLAIN)
def test_tokenizer_goes_the_plain_way_for_each_reason_that_is_given(case):
    make, reason = PLAIN[case]
    choice = choose_engine(make())
    assert choice.name == "tokenizers"
    assert re.search(f"pieces does not take it: .*{reason}; the fastest that takes this tokenizer$", choice.reason)


def test_engine_that_is_asked_for_and_does_not_take_the_tokenizer_is_refused_by_name():
    tokenizer = changed(made("gpt-2"), pre_tokenizer=None)
    with pytest.raises(ConfigError, match=r"^tokenize\.engine: pieces does not take this tokenizer: its normalizer"):
        choose_engine(tokenizer, "pieces")


def test_engines_that_err_on_the_probe_are_not_taken(monkeypatch):
    monkeypatch.setitem(ENGINES, "gigatoken", lambda tokenizer: Wrong(tokenizer, 1))
    choice = choose_engine(made("gpt-2"))
    assert choice.name == "pieces"
    assert choice.reason.startswith("gigatoken does not take it: it gives other ids than tokenizers for")
    monkeypatch.setitem(ENGINES, "pieces", lambda tokenizer: Wrong(tokenizer, 1))
    choice = choose_engine(made("gpt-2"))
    assert choice.name == "tokenizers"
    assert "pieces does not take it: it gives other ids than tokenizers for" in choice.reason


def test_engines_are_tried_from_the_fastest_to_the_plain_one():
    assert list(ENGINES) == ["gigatoken", "pieces", "tokenizers"]


def test_engines_of_extras_are_left_out_where_workers_have_none(bert):
    for name, engine in ENGINES.items():
        if getattr(engine, "extra", None) is None:
            continue
        with pytest.raises(ConfigError, match=f"{name} is not installed: workers install the base package alone"):
            choose_engine(bert.load(), name, extras=False)
    chosen = choose_engine(bert.load(), extras=False)
    assert chosen.name == "pieces"
    assert chosen.reason.startswith("gigatoken is not installed (workers install the base package alone")
