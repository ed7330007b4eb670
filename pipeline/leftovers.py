"""What unfinished attempts have left behind, and runs that are to go: found, and removed."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.generations import read_run, read_runs, run_folder, run_folders, turns_folder
from pipeline.manifest import ATTEMPTS, MANIFEST
from transforms.arrays.errors import ConfigError
from transforms.files import (
    exists,
    list_folder,
    list_subfolders,
    read_bytes,
    remove_file,
    remove_folder,
    weigh_folder,
    write_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPILLS = "spills_to"  # a file in an attempt's scratch folder
TAKEN = "a generation that was taken and not committed"
TURN = re.compile(r"\d{6,}\.json")  # how the files are called that say whose a generation is

SPILLED = "rows spilled by an attempt that was not committed"


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


def find_leftovers(output: str, older_than: float, keep_last: int | None = None) -> Iterator[Leftover]:
    """Finds what unfinished attempts left behind, and runs that are to go.

    Each run is judged when it is come to, so whoever removes what is given before asking for more never removes what
    was taken into use while the runs before it were removed.

    Args:
        output: `write.path`.
        older_than: Seconds; what belongs to an attempt with a newer file may be in use and is left alone. 0 is the
            user's word that nothing runs.
        keep_last: How many committed runs to keep; None for all.

    Yields:
        Folders in the order of their paths, then files; none of them is named by the manifest of a kept run.

    Raises:
        ConfigError: Runs are to go that are generations of one data set.
    """
    folders = run_folders(output)
    old = set() if keep_last is None else _not_kept(output, keep_last)
    for folder in folders:
        found = [_leftover(folder, "committed, but not among the last kept")] if folder in old else _left_of(folder)
        yield from (leftover for leftover in found if leftover.seconds >= older_than)
    yield from (leftover for leftover in _turns_without_run(output) if leftover.seconds >= older_than)


def _not_kept(output: str, keep_last: int) -> set[str]:
    """The folders of committed runs that are to go."""
    committed = [run for run in read_runs(output) if run.status == "committed"]
    old = {run.folder for run in committed[: max(0, len(committed) - keep_last)]}
    if old and any(run.generation for run in committed):
        raise ConfigError(
            f"--keep-last: the runs of {output} are generations of one data set; without the older ones their rows "
            "would be lost, and their inputs be new again"
        )
    return old


def _left_of(folder: str) -> list[Leftover]:
    """What attempts at one run have left behind; what is in its folder and is no attempt is not ours to judge."""
    run = read_run(folder)
    if run.status == "damaged":
        return []  # a damaged manifest is evidence, and for a person to judge
    kept = run.manifest["attempt"] if run.manifest is not None else None
    names = list_subfolders(folder)
    ours = sorted(name for name in names if name.startswith(ATTEMPTS))
    attempts: dict[str, list[str]] = {}
    for name in ours:
        attempts.setdefault(name.removesuffix(".tmp"), []).append(f"{folder}/{name}")
    if run.manifest is None and len(ours) == len(names):
        spilled = [_leftover(spills, SPILLED) for paths in attempts.values() for spills in _spilled(paths)]
        return _of_one_age([*spilled, _leftover(folder, "no attempt at it was committed")])
    found = []
    for paths in attempts.values():
        left = [_leftover(path, "an attempt that was not committed") for path in paths if path != f"{folder}/{kept}"]
        found += _of_one_age([*(_leftover(spills, SPILLED) for spills in _spilled(paths)), *left])
    return found


def _of_one_age(leftovers: list[Leftover]) -> list[Leftover]:
    """What belongs to one attempt is in use while any of it is: an old list of inputs is still read from."""
    seconds = min((leftover.seconds for leftover in leftovers), default=0.0)
    return [leftover._replace(seconds=seconds) for leftover in leftovers]


def _leftover(folder: str, why: str) -> Leftover:
    size, newest = weigh_folder(folder)
    return Leftover(folder, why, size, max(0.0, time.time() - newest))


def _turns_without_run(output: str) -> Iterator[Leftover]:
    """Generations that a run has taken and not committed: it was killed between the two."""
    for file in list_folder(turns_folder(output)):
        if not TURN.fullmatch(file.path.removeprefix(f"{turns_folder(output)}/")):
            continue  # none of ours
        try:
            holder = str(json.loads(read_bytes(file.path))["run_id"])
        except (ValueError, KeyError, TypeError):
            holder = ""
        if not holder or not exists(f"{run_folder(output, holder)}/{MANIFEST}"):
            seconds = max(0.0, time.time() - file.changed)
            yield Leftover(file.path, TAKEN, file.bytes, seconds)


def note_spills(scratch: str, spills: str) -> None:
    """Notes where an attempt spills rows, so that they are found if it is killed.

    Args:
        scratch: The attempt's scratch folder.
        spills: The folder it spills to, named after the attempt.
    """
    write_bytes(f"{scratch}/{SPILLS}", str(Path(spills).absolute()).encode())  # gc may run elsewhere


def _spilled(attempts: Iterable[str]) -> Iterator[str]:
    """Finds what attempts have spilled outside the output; only folders of this machine that are named after them."""
    for attempt in attempts:
        if not exists(f"{attempt}/{SPILLS}"):
            continue
        spills = Path(read_bytes(f"{attempt}/{SPILLS}").decode())
        name = attempt.rpartition("/")[2].removesuffix(".tmp")
        if Path(attempt) not in spills.parents and spills.name.endswith(name) and spills.is_dir():
            yield spills.as_posix()


def remove(leftover: Leftover) -> None:
    """Removes a leftover; of a run its manifest first, so that it is never a data set with files missing.

    Raises:
        JobError: It cannot be removed.
    """
    if leftover.why == TAKEN:  # a run's name may end as a file's does
        remove_file(leftover.path)
        return
    remove_file(f"{leftover.path}/{MANIFEST}")
    remove_folder(leftover.path)
