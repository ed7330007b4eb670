"""Whichever engine encodes, the bytes of data files are the same."""

import random

import pytest

from tests.runs import data_files, manifest_of, oblong, set_flags, write_jsonl
from tests.transforms.arrays.tokenizers_of_families import TEXTS, made
from transforms.arrays.engines import ENGINES

PIECES_OF_TEXT = [*TEXTS[:4], "<|endoftext|>", " ", "\n\n", "\U00010940", "e\u0301", "漢字", "🎉", "1234", "x" * 50]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Prose, code, scripts and added tokens, and a byte-level BPE."""
    folder = tmp_path_factory.mktemp("engines")
    (folder / "tok").mkdir()
    (folder / "tok" / "tokenizer.json").write_text(made("cl100k 1").to_str())
    generator = random.Random(0)
    texts = ["".join(generator.choices(PIECES_OF_TEXT, k=generator.randint(0, 12))) for _ in range(400)]
    write_jsonl(folder / "corpus.jsonl", [{"text": text} for text in texts])
    return folder


def run(world, output, engine):
    settings = {
        "read.files": str(world / "corpus.jsonl"),
        "tokenize.engine": engine,
        "pad.token": "<|endoftext|>",
        "truncate.max_length": 64,
        "bucket.boundaries": [16, 64],
        "write.formats": ["parquet", "tfrecord"],
    }
    arguments = ["run", f"--tokenizer={world}/tok", f"--output={output}", "--run_id=one", "--json"]
    manifest = manifest_of(oblong(*arguments, *set_flags(settings)))
    return manifest, data_files(output / "runs" / "one")


def test_every_engine_writes_the_bytes_that_tokenizers_writes(world, tmp_path):
    runs = {engine: run(world, tmp_path / engine, engine) for engine in ENGINES}
    for engine, (manifest, files) in runs.items():
        assert (manifest["tokenizer"]["engine"], manifest["tokenizer"]["engine_reason"]) == (engine, "asked for")
        assert len(files) >= 4
        assert files == runs["tokenizers"][1]
    manifest, files = run(world, tmp_path / "auto", "auto")
    assert manifest["tokenizer"]["engine"] == "gigatoken"
    assert files == runs["tokenizers"][1]
