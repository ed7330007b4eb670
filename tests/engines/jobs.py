"""The job that every engine runs, as a process of its own, and what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.runs import KEEP, oblong, set_flags, some_rows, write_jsonl, write_tokenizer

if TYPE_CHECKING:
    from tests.engines.starting import Engine

# Pairs, windows, buckets, splits, kept columns, both formats; some hundred units of work.
SETTINGS = {
    "read.text_pair": "other",
    "read.keep": KEEP,
    "truncate.max_length": 48,
    "truncate.overflow": True,
    "truncate.stride": 2,
    "batch.rows": 16,
    "bucket.boundaries": [16, 32, 48],
    "write.formats": ["parquet", "tfrecord"],
    "write.compression": {"tfrecord": "gzip"},
    "write.columns": ["input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "length", "row_id"],
    "split": {"train": 0.8, "validation": 0.2},
}
ROWS, FILES = 12_000, 3
UNUSABLE = ["no json", '{"text": null}', '{"text": "w1", "other": 7}', '{"text": "w1"}', "[]"]
SHUFFLED = {"write.shards": 3, "read.split_bytes": 150_000}
IN_ORDER = {"run.shuffle": "none", "read.split_bytes": 1_500_000}  # each unit of work has shards of its own


class Left(NamedTuple):
    """What a job left behind.

    Attributes:
        checksums: Of every data file and every file of dead letters, by its name in the attempt's folder.
        listed: What the manifest says of each of them.
        totals: The manifest's.
    """

    checksums: dict[str, str]
    listed: dict[str, Any]
    totals: dict[str, Any]


def write_world(folder: Path, rows: int = ROWS, longest: int = 40) -> Path:
    """Writes a corpus in three files, rows that cannot be used among them, and a tokenizer."""
    write_tokenizer(folder / "tok")
    every = some_rows(rows, seed=5, longest=longest)
    for number, line in enumerate(UNUSABLE * 10):
        every.insert(number * 97, line)  # type: ignore[arg-type]
    for number in range(FILES):
        write_jsonl(folder / "corpus" / f"{number}.jsonl", every[number::FILES])
    return folder


def arguments(world: Path, output: Path, settings: dict[str, Any]) -> list[str]:
    """The command's arguments for the job."""
    places = [f"--input={world}/corpus/*.jsonl", f"--tokenizer={world}/tok", f"--output={output}"]
    return ["run", *places, "--json", *set_flags(SETTINGS | settings)]


def launch(world: Path, output: Path, settings: dict[str, Any], engine: Engine) -> subprocess.Popen[str]:
    """Starts the job in a process of its own, as users do."""
    command = [sys.executable, "-m", "pipeline", *arguments(world, output, settings), *engine.flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(world: Path, output: Path, settings: dict[str, Any], engine: Engine, seconds: float = 300) -> Left:
    """Runs the job and looks at what it left."""
    process = launch(world, output, settings, engine)
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, f"{engine.name}: exits with {process.returncode}\n{err}{engine.said()}"
    said = json.loads(out)
    assert said["status"] == "done"
    return look(Path(said["run"]))


def look(run: Path) -> Left:
    """Reads what a committed run holds; `oblong verify` has to agree with its manifest."""
    verified = oblong("verify", run)
    assert (verified.code, verified.out[:4]) == (0, "ok: "), verified
    manifest = json.loads((run / "manifest.json").read_text())
    listed = {file.pop("path").split("/", 1)[1]: file for file in (*manifest["files"], *manifest["dead_letters"])}
    checksums = {name: hashlib.sha256((run / manifest["attempt"] / name).read_bytes()).hexdigest() for name in listed}
    return Left(checksums, listed, manifest["totals"])
