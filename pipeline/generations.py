"""The runs of a data set, and what unfinished attempts have left behind."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.manifest import MANIFEST, read_whole
from transforms.arrays.errors import ConfigError, OblongError, StoreError
from transforms.files import (
    exists,
    is_local,
    list_folder,
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

    from pipeline.manifest import Manifest

SPILLS = "spills_to"  # a file in an attempt's scratch folder
SPILLED = "rows spilled by an attempt that was not committed"


def list_runs(output: str) -> list[dict[str, Any]]:
    """Lists the runs of a data set, the oldest first.

    Args:
        output: `write.path`.

    Returns:
        A dict for each run: run_id, created, status, generation, rows, tokens, bytes, folder. A run without a manifest
        is "unfinished", one whose manifest cannot be read "damaged".
    """
    found = []
    for folder in _run_folders(output):
        row: dict[str, Any] = {"run_id": _name(folder), "created": None, "status": "unfinished"}
        row |= {"generation": None, "rows": None, "tokens": None, "bytes": None, "folder": folder}
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
                row |= {"tokens": totals["tokens"], "bytes": size, "generation": _number(manifest) or None}
        found.append(row)
    return sorted(found, key=lambda row: (row["created"] or "9", row["run_id"]))


def committed_manifests(output: str) -> list[Manifest]:
    """Reads the manifests of a data set.

    Args:
        output: `write.path`; without any run there is none.

    Returns:
        The manifests of the committed runs, the oldest first.

    Raises:
        JobError: One is damaged, so nobody can tell what its run has read.
    """
    runs = _runs_folder(output)
    folders = [f"{runs}/{name}" for name in list_subfolders(runs)]
    found = [read_whole(folder)[0] for folder in folders if exists(f"{folder}/{MANIFEST}")]
    return sorted(found, key=lambda manifest: (_number(manifest), manifest["created"], manifest["run_id"]))


def _number(manifest: Manifest) -> int:
    return int((manifest.get("generation") or {}).get("number", 0))


def _runs_folder(output: str) -> str:
    return Path(output, "runs").as_posix() if is_local(output) else f"{output.rstrip('/')}/runs"


def _run_folders(output: str) -> list[str]:
    require_store(output, "OUTPUT")
    runs = _runs_folder(output)
    found = [f"{runs}/{name}" for name in list_subfolders(runs)]
    if not found and not (is_local(runs) and Path(runs).is_dir()):  # elsewhere an empty folder may be none at all
        raise ConfigError(f"OUTPUT: {output} has no folder runs/; give the write.path of a job")
    return found


def _name(folder: str) -> str:
    return folder.rpartition("/")[2]


class Leftover(NamedTuple):
    """A folder that nothing needs, or a file.

    Attributes:
        path: The folder or the file.
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
        older_than: Seconds; what belongs to an attempt with a newer file may be in use and is left alone. 0 is the
            user's word that nothing runs.
        keep_last: How many committed runs to keep; None for all.

    Returns:
        The folders, in the order of their paths; none of them is named by the manifest of a kept run.

    Raises:
        ConfigError: Runs are to go that are generations of one data set.
    """
    committed = [row for row in list_runs(output) if row["status"] == "committed"]
    old = {row["folder"] for row in committed[: max(0, len(committed) - keep_last)]} if keep_last is not None else set()
    if old and any(row["generation"] for row in committed):
        raise ConfigError(
            f"--keep-last: the runs of {output} are generations of one data set; without the older ones their rows "
            "would be lost, and their inputs be new again"
        )
    found = [*_turns_without_run(output, {row["run_id"] for row in committed})]
    for folder in _run_folders(output):
        if folder in old:
            found.append(_leftover(folder, "committed, but not among the last kept"))
            continue
        attempts = _attempts(folder)
        if not exists(f"{folder}/{MANIFEST}"):
            spilled = [_leftover(spills, SPILLED) for parts in attempts.values() for spills in _spilled(parts)]
            whole = _leftover(folder, "no attempt at it was committed")
            found += _of_one_age([*spilled, whole])
            continue
        try:
            kept = read_whole(folder)[0]["attempt"]
        except OblongError:
            continue  # a damaged manifest is evidence, and for a person to judge
        for parts in attempts.values():
            left = [part for part in parts if part != f"{folder}/{kept}"]
            spilled = [_leftover(spills, SPILLED) for spills in _spilled(parts)]
            found += _of_one_age([*spilled, *(_leftover(part, "an attempt that was not committed") for part in left)])
    return [leftover for leftover in found if leftover.seconds >= older_than]


def _attempts(folder: str) -> dict[str, list[str]]:
    """The folders of each attempt at a run: what it writes to, and its scratch folder."""
    found: dict[str, list[str]] = {}
    for name in list_subfolders(folder):
        found.setdefault(name.removesuffix(".tmp"), []).append(f"{folder}/{name}")
    return found


def _of_one_age(leftovers: list[Leftover]) -> list[Leftover]:
    """What belongs to one attempt is in use while any of it is: an old list of inputs is still read from."""
    seconds = min((leftover.seconds for leftover in leftovers), default=0.0)
    return [leftover._replace(seconds=seconds) for leftover in leftovers]


def _turns_without_run(output: str, committed: set[str]) -> Iterator[Leftover]:
    """Generations that a run has taken and not committed: it was killed between the two."""
    for file in list_folder(turns_folder(output)):
        try:
            holder = json.loads(read_bytes(file.path))["run_id"]
        except (ValueError, KeyError, TypeError):
            holder = None
        if holder not in committed:
            seconds = max(0.0, time.time() - file.changed)
            yield Leftover(file.path, "a generation that was taken and not committed", file.bytes, seconds)


def turns_folder(output: str) -> str:
    """Where it stands which run each generation belongs to."""
    return f"{output.rstrip('/')}/generations"


def note_spills(scratch: str, spills: str) -> None:
    """Notes where an attempt spills rows, so that they are found if it is killed.

    Args:
        scratch: The attempt's scratch folder.
        spills: The folder it spills to, named after the attempt.
    """
    write_bytes(f"{scratch}/{SPILLS}", str(Path(spills).absolute()).encode())  # gc may run elsewhere


def remove_spills(scratch: str) -> None:
    """Removes what an attempt has spilled outside of the output, where that is on this machine.

    Args:
        scratch: The attempt's scratch folder; to be removed after this, since it says where the spills are.

    Raises:
        JobError: They cannot be removed.
    """
    for spills in _spilled([scratch]):
        remove_folder(spills)


def _spilled(attempts: list[str]) -> Iterator[str]:
    """Finds what attempts have spilled outside the output; only folders of this machine that are named after them."""
    for attempt in attempts:
        if not exists(f"{attempt}/{SPILLS}"):
            continue
        spills = Path(read_bytes(f"{attempt}/{SPILLS}").decode())
        elsewhere = Path(attempt) not in spills.parents and spills.name.endswith(_name(attempt).removesuffix(".tmp"))
        if elsewhere and spills.is_dir():
            yield spills.as_posix()


def _leftover(folder: str, why: str) -> Leftover:
    size, newest = weigh_folder(folder)
    return Leftover(folder, why, size, max(0.0, time.time() - newest))


def delete(leftovers: list[Leftover]) -> None:
    """Removes leftovers; of a run its manifest first, so that it is never a data set with files missing.

    Raises:
        JobError: One cannot be removed.
    """
    for leftover in leftovers:
        if leftover.path.endswith(".json"):
            remove_file(leftover.path)
            continue
        remove_file(f"{leftover.path}/{MANIFEST}")
        remove_folder(leftover.path)
