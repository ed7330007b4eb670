import pyarrow as pa
import pytest

from tests.transforms.arrays.tokenizers_of_families import made
from transforms.arrays import plain
from transforms.arrays.plain import TokenizersEngine

TEXTS = ["some words", "", "a", "some more words than before", "", "the end"]


@pytest.mark.parametrize("chunk", [1, 70, 150, 1 << 20])
def test_ids_are_those_of_the_library_in_chunks_of_any_size(chunk, monkeypatch):
    monkeypatch.setattr(plain, "CHUNK_BYTES", chunk)
    tokenizer = made("gpt-2")
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    for texts in (
        pa.array(TEXTS),
        pa.array(["x", *TEXTS, "y"]).slice(1, len(TEXTS)),
        pa.array(TEXTS, pa.large_string()),
    ):
        assert TokenizersEngine(tokenizer).encode(texts).tolist() == expected


def test_no_texts_have_no_ids():
    assert TokenizersEngine(made("gpt-2")).encode(pa.array([], pa.string())).tolist() == []


def test_texts_are_encoded_a_chunk_at_a_time(monkeypatch):
    monkeypatch.setattr(plain, "CHUNK_BYTES", 10 * (plain.TEXT_BYTES + 1))
    sizes = []
    encode = TokenizersEngine._encode
    monkeypatch.setattr(
        TokenizersEngine, "_encode", lambda self, texts: sizes.append(len(texts)) or encode(self, texts)
    )
    assert TokenizersEngine(made("gpt-2")).encode(pa.array(["a"] * 100)).rows == 100
    assert max(sizes) == 10
    assert sum(sizes) == 100
