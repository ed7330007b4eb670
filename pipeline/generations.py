"""The runs of a data set, and what unfinished attempts have left behind."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

from pipeline.manifest import MANIFEST, read_manifest
from transforms.arrays.errors import ConfigError, JobError, OblongError

SPILLS = "spills_to"  # a file in an attempt's scratch folder

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def list_runs(output: str) -> list[dict[str, Any]]:
    """Lists the runs of a data set, the oldest first.

    Args:
        output: `write.path`.

    Returns:
        A dict for each run: run_id, created, status, rows, tokens, bytes, folder. A run without a manifest
        is "unfinished", one whose manifest cannot be read "damaged".
    """
    found = []
    for folder in _run_folders(output):
        row: dict[str, Any] = {"run_id": folder.name, "created": None, "status": "unfinished"}
        row |= {"rows": None, "tokens": None, "bytes": None, "folder": folder.as_posix()}
        if (folder / MANIFEST).exists():
            try:
                manifest = read_manifest(folder.as_posix())
            except OblongError:
                row["status"] = "damaged"
            else:
                totals = manifest["totals"]
                size = sum(file["bytes"] for file in manifest["files"])
                row |= {"created": manifest["created"], "status": "committed", "rows": totals["rows_written"]}
                row |= {"tokens": totals["tokens"], "bytes": size}
        found.append(row)
    return sorted(found, key=lambda row: (row["created"] or "9", row["run_id"]))


def _run_folders(output: str) -> list[Path]:
    runs = Path(output) / "runs"
    if not runs.is_dir():
        raise ConfigError(f"OUTPUT: {output} has no folder runs/; give the write.path of a job")
    return sorted(path for path in runs.iterdir() if path.is_dir())


def parse_age(text: str) -> float:
    """Reads an age such as 7d, 12h, 90m, 30s or 2w; a bare number is seconds.

    Args:
        text: What was written.

    Returns:
        Seconds.

    Raises:
        ConfigError: It is none of these.

    >>> parse_age("7d")
    604800.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if match is None:
        raise ConfigError(f"--older-than: {text!r} is no age; write e.g. 7d, 12h or 0")
    return float(match[1]) * UNITS[match[2] or "s"]


class Leftover(NamedTuple):
    """A folder that nothing needs.

    Attributes:
        path: The folder.
        why: What it is.
        bytes: Of all its files.
        seconds: Age of its newest file.
    """

    path: str
    why: str
    bytes: int
    seconds: float


def find_leftovers(output: str, older_than: float, keep_last: int | None = None) -> list[Leftover]:
    """Finds what unfinished attempts left behind, and runs that are to go.

    Args:
        output: `write.path`.
        older_than: Seconds; a folder with a newer file may be in use and is left alone. 0 is the user's
            word that nothing runs.
        keep_last: How many committed runs to keep; None for all.

    Returns:
        The folders, in the order of their paths; none of them is named by the manifest of a kept run.
    """
    committed = [row for row in list_runs(output) if row["status"] == "committed"]
    old = {row["folder"] for row in committed[: max(0, len(committed) - keep_last)]} if keep_last is not None else set()
    found = []
    for folder in _run_folders(output):
        if folder.as_posix() in old:
            found.append(_leftover(folder, "committed, but not among the last kept"))
            continue
        if not (folder / MANIFEST).exists():
            found += _spilled(sorted(folder.iterdir()))
            found.append(_leftover(folder, "no attempt at it was committed"))
            continue
        try:
            kept = read_manifest(folder.as_posix())["attempt"]
        except OblongError:
            continue  # a damaged manifest is evidence, and for a person to judge
        others = sorted(path for path in folder.iterdir() if path.is_dir() and path.name != kept)
        found += _spilled(others)
        found += [_leftover(attempt, "an attempt that was not committed") for attempt in others]
    return [leftover for leftover in found if leftover.seconds >= older_than]


def note_spills(scratch: str, spills: str) -> None:
    """Notes where an attempt spills rows, so that they are found if it is killed.

    Args:
        scratch: The attempt's scratch folder.
        spills: The folder it spills to, named after the attempt.
    """
    Path(scratch).mkdir(parents=True, exist_ok=True)
    (Path(scratch) / SPILLS).write_text(spills)


def _spilled(attempts: list[Path]) -> list[Leftover]:
    """Finds what attempts have spilled outside the output; only folders that are named after them."""
    found = []
    for attempt in attempts:
        with suppress(OSError):
            spills = Path((attempt / SPILLS).read_text())
            elsewhere = attempt not in spills.parents and spills.name.endswith(attempt.name.removesuffix(".tmp"))
            if elsewhere and spills.is_dir():
                found.append(_leftover(spills, "rows spilled by an attempt that was not committed"))
    return found


def _leftover(folder: Path, why: str) -> Leftover:
    newest, size = 0.0, 0
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # a running job moves its files
            found = path.stat()
            newest = max(newest, found.st_mtime)
            size += found.st_size if S_ISREG(found.st_mode) else 0
    return Leftover(folder.as_posix(), why, size, max(0.0, time.time() - newest))


def delete(leftovers: list[Leftover]) -> None:
    """Removes folders, a run's manifest first, so that it is never a data set with files missing.

    Raises:
        JobError: A folder cannot be removed.
    """
    for leftover in leftovers:
        try:
            (Path(leftover.path) / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(leftover.path)
        except FileNotFoundError:
            continue  # somebody else was faster
        except OSError as error:
            raise JobError(f"OUTPUT: {leftover.path} cannot be removed: {error}") from error
