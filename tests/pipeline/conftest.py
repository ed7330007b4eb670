"""Runs that tests of what a run leaves behind share: each is made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.runs import KEEP, oblong, set_flags, some_rows, write_jsonl, write_tokenizer

COLUMNS = ["input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "length", "row_id"]

PAIRS = {
    "read.text_pair": "other",
    "read.keep": KEEP,
    "truncate.max_length": 48,
    "bucket.boundaries": [8, 16, 32],
    "batch.rows": 8,
    "write.formats": ["parquet", "tfrecord"],
    "write.columns": COLUMNS,
    "write.shards": 2,
    "split": {"train": 0.75, "validation": 0.25},
}

WINDOWS = {
    "truncate.max_length": 12,
    "truncate.overflow": True,
    "truncate.stride": 3,
    "pad.side": "left",
    "pad.to": "bucket",
    "bucket.boundaries": [6],
    "batch.rows": 10,
    "write.formats": ["tfrecord", "parquet"],
    "write.compression": {"tfrecord": "gzip", "parquet": "snappy"},
    "write.columns": COLUMNS,
}

UNPADDED = {
    "truncate.strategy": False,
    "pad.to": False,
    "bucket.boundaries": [8, 16],
    "batch.rows": 7,
    "write.columns": COLUMNS,
    "write.formats": ["parquet", "tfrecord"],
}


class Run(NamedTuple):
    """A committed run."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def attempt(self) -> Path:
        """The attempt's folder."""
        return self.folder / self.manifest["attempt"]

    def files(self, format_name: str) -> list[dict[str, Any]]:
        """What the manifest says of the files of one format."""
        return [file for file in self.manifest["files"] if file["format"] == format_name]

    def copy(self, to: Path) -> Run:
        """A copy to damage."""
        shutil.copytree(self.folder, to)
        return Run(to, self.manifest)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of a word a token."""
    return write_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """The rows of the shared corpus."""
    return some_rows(150)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> Path:
    """A folder with the shared corpus in two files, the second with a line that is no JSON."""
    folder = tmp_path_factory.mktemp("corpus")
    write_jsonl(folder / "a.jsonl", rows[:100])
    write_jsonl(folder / "b#1.jsonl", [*rows[100:], '{"text": '])
    return folder


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path, corpus: Path) -> Any:
    """Makes a run of the shared corpus, each configuration once."""
    made: dict[str, Run] = {}

    def make(settings: dict[str, Any]) -> Run:
        key = json.dumps(settings)
        if key not in made:
            output = tmp_path_factory.mktemp("out")
            short = ("--input", corpus / "*.jsonl", "--tokenizer", tokenizer, "--output", output)
            said = oblong("run", *short, *set_flags(settings), "--json")
            assert said.code == 0, said.err
            made[key] = Run(Path(said.json["run"]), json.loads(Path(said.json["manifest"]).read_text()))
        return made[key]

    return make


@pytest.fixture(scope="session")
def pairs(committed: Any) -> Run:
    """Pairs with kept columns in two splits and four buckets, both formats."""
    run: Run = committed(PAIRS)
    return run


@pytest.fixture(scope="session")
def windows(committed: Any) -> Run:
    """Windows, padded on the left to their bucket, other codecs."""
    run: Run = committed(WINDOWS)
    return run


@pytest.fixture(scope="session")
def unpadded(committed: Any) -> Run:
    """Neither truncated nor padded."""
    run: Run = committed(UNPADDED)
    return run
