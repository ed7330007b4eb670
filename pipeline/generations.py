"""The runs of a data set, and what unfinished attempts have left behind."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.manifest import MANIFEST, read_whole
from transforms.arrays.errors import ConfigError, OblongError, StoreError
from transforms.files import (
    exists,
    is_local,
    list_subfolders,
    read_bytes,
    remove_file,
    remove_folder,
    require_store,
    weigh_folder,
    write_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        row: dict[str, Any] = {"run_id": _name(folder), "created": None, "status": "unfinished"}
        row |= {"rows": None, "tokens": None, "bytes": None, "folder": folder}
        if exists(f"{folder}/{MANIFEST}"):
            try:
                manifest, _ = read_whole(folder)
            except StoreError:
                raise
            except OblongError:
                row["status"] = "damaged"
            else:
                totals = manifest["totals"]
                size = sum(file["bytes"] for file in manifest["files"])
                row |= {"created": manifest["created"], "status": "committed", "rows": totals["rows_written"]}
                row |= {"tokens": totals["tokens"], "bytes": size}
        found.append(row)
    return sorted(found, key=lambda row: (row["created"] or "9", row["run_id"]))


def _run_folders(output: str) -> list[str]:
    require_store(output, "OUTPUT")
    runs = Path(output, "runs").as_posix() if is_local(output) else f"{output.rstrip('/')}/runs"
    found = [f"{runs}/{name}" for name in list_subfolders(runs)]
    if not found and not (is_local(runs) and Path(runs).is_dir()):  # elsewhere an empty folder may be none at all
        raise ConfigError(f"OUTPUT: {output} has no folder runs/; give the write.path of a job")
    return found


def _name(folder: str) -> str:
    return folder.rpartition("/")[2]


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
        if folder in old:
            found.append(_leftover(folder, "committed, but not among the last kept"))
            continue
        attempts = [f"{folder}/{name}" for name in list_subfolders(folder)]
        if not exists(f"{folder}/{MANIFEST}"):
            found += _spilled(attempts)
            found.append(_leftover(folder, "no attempt at it was committed"))
            continue
        try:
            kept = read_whole(folder)[0]["attempt"]
        except OblongError:
            continue  # a damaged manifest is evidence, and for a person to judge
        others = [attempt for attempt in attempts if _name(attempt) != kept]
        found += _spilled(others)
        found += [_leftover(attempt, "an attempt that was not committed") for attempt in others]
    return [leftover for leftover in found if leftover.seconds >= older_than]


def note_spills(scratch: str, spills: str) -> None:
    """Notes where an attempt spills rows, so that they are found if it is killed.

    Args:
        scratch: The attempt's scratch folder.
        spills: The folder it spills to, named after the attempt.
    """
    write_bytes(f"{scratch}/{SPILLS}", spills.encode())


def _spilled(attempts: list[str]) -> Iterator[Leftover]:
    """Finds what attempts have spilled outside the output; only folders of this machine that are named after them."""
    for attempt in attempts:
        if not exists(f"{attempt}/{SPILLS}"):
            continue
        spills = Path(read_bytes(f"{attempt}/{SPILLS}").decode())
        elsewhere = Path(attempt) not in spills.parents and spills.name.endswith(_name(attempt).removesuffix(".tmp"))
        if elsewhere and spills.is_dir():
            yield _leftover(spills.as_posix(), "rows spilled by an attempt that was not committed")


def _leftover(folder: str, why: str) -> Leftover:
    size, newest = weigh_folder(folder)
    return Leftover(folder, why, size, max(0.0, time.time() - newest))


def delete(leftovers: list[Leftover]) -> None:
    """Removes folders, a run's manifest first, so that it is never a data set with files missing.

    Raises:
        JobError: A folder cannot be removed.
    """
    for leftover in leftovers:
        remove_file(f"{leftover.path}/{MANIFEST}")
        remove_folder(leftover.path)
