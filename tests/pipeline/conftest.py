"""What tests of jobs share: sections to begin with, and runs whose remains are looked at, each made once."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs import KEEP, Said, oblong, reseal, set_flags, some_rows, write_jsonl, write_tokenizer

DAY = 86400

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


# A module with everything that the demo makes rows of.
SHAPES = '''"""Shapes."""
import math

class Square:
    """A square."""

    def area(self, unit: str = "\\u20ac\\ud800") -> float:
        """Area in \\ud800."""
        def square(x):
            # no root
            y = x * x
            return y
        return square(self.side)

    def area(self): pass

if math.pi > 3:
    async def spin(*, by=1):
        """Spins."""
\f
def name(): return 1

def undocumented(x):
    return x
'''


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


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in several formats, tokenizers that work and that do not, and a place for output."""
    folder = tmp_path_factory.mktemp("world")
    write_tokenizer(folder / "tok")
    write_tokenizer(folder / "nopad", pad_token=None)
    write_tokenizer(folder / "disagrees", add_bos_token=True, bos_token="[UNK]")
    write_jsonl(folder / "a.jsonl", some_rows(5))
    write_jsonl(folder / "deep" / "b.jsonl", some_rows(5))
    (folder / "a.csv").write_text("text,label\nw1,1\n")
    (folder / "a.tsv").write_text("text\tlabel\nw1\t1\n")
    (folder / "a.txt").write_text("w1 w2\n")
    (folder / "a.unknown").write_text("w1 w2\n")
    pq.write_table(pa.table({"text": ["w1"], "nested": [[1]], "number": [1]}), folder / "a.parquet")
    (folder / "bad").mkdir()
    (folder / "bad" / "tokenizer.json").write_text("{")
    (folder / "empty").mkdir()
    (folder / "vocab").mkdir()
    (folder / "vocab" / "vocab.txt").write_text("[PAD]\n")
    (folder / "config.yaml").write_text("truncate: {max_lenght: 9}\n")
    (folder / "list.yaml").write_text("- read\n")
    (folder / "file").write_text("a file")
    return folder


@pytest.fixture(scope="session")
def done(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Said]:
    """A run that the short options made, no file given."""
    out = tmp_path_factory.mktemp("done")
    short = [f"--input={world}/*.jsonl", f"--tokenizer={world}/tok", f"--output={out}", "--run_id=first"]
    return out, short, oblong("run", *short)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A standard library of a few modules."""
    files = {
        "shapes.py": SHAPES,
        "pack/__init__.py": '"""Pack."""\n',
        "pack/inner.py": '"""In."""\ndef f():\n    """F."""\n',
        "pack/test/test_f.py": '"""Test."""\n',
        "site-packages/other.py": '"""Other."""\n',
        "config-3.11/tool.py": '"""Tool."""\n',
        "broken.py": '"""Broken."""\ndef (\n',
        "escape.py": '"""A \\d."""\n',
    }
    root = tmp_path / "library"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    (root / "latin.py").write_bytes("# coding: latin-1\n'''Café.'''\n".encode("latin-1"))
    (root / "nonsense.py").write_bytes(b"'''\xff'''\n")
    return root


@pytest.fixture
def sections(tmp_path, tokenizer):
    """The sections of a small job, for those who change one of them."""
    source = write_jsonl(tmp_path / "in" / "a.jsonl", some_rows(5))
    return {
        "read": {"files": str(source)},
        "tokenize": {"tokenizer": str(tokenizer)},
        "write": {"path": str(tmp_path / "out")},
    }


def age(folder, seconds):
    """Makes a folder look as if nothing had touched it for a while."""
    then = time.time() - seconds
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


@pytest.fixture
def output(pairs, tmp_path):
    """A data set of three runs, leftovers of all kinds, and a run that is damaged."""
    out = tmp_path / "out"
    for number, name in enumerate(["b", "a", "c"]):
        run = pairs.copy(out / "runs" / name)
        reseal(run.folder, lambda m, n=name, i=number: m.update(run_id=n, created=f"2026-01-0{i + 1}T00:00:00Z"))
    for leftover in ("a/attempt-old/train/x.parquet", "a/attempt-older.tmp/0f", "gone/attempt-x/tokenizer/t.json"):
        path = out / "runs" / leftover
        path.parent.mkdir(parents=True)
        path.write_bytes(b"12345")
    damaged = pairs.copy(out / "runs" / "damaged")
    (damaged.folder / "manifest.json").write_text("{")
    (damaged.folder / "attempt-stray").mkdir()
    (out / "runs" / "notes.txt").write_text("a file is no run")
    age(out / "runs", 10 * DAY)
    return out
