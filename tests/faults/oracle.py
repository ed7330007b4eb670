"""What must be so after a job was killed: written without a look at how the product finds out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.worlds import tree, tree_of_runs, with_times

if TYPE_CHECKING:
    from tests.faults.worlds import Tree, World

# Folders that stay, with nothing in them or with something.
KEPT = {"out/", "out/runs/", "out/generations/", "spills/", "spills/oblong-of-another-job/"}


def left_over(folder: Path) -> set[str]:
    """Says what is in the way: files and folders that belong neither to a committed run nor to another job."""
    everything = {f"out/{path}" for path in tree(folder / "out")} | {
        f"spills/{path}" for path in tree(folder / "spills")
    }
    needed = KEPT | {"spills/oblong-of-another-job/rows.arrow"}
    for path in sorted(everything):
        if path.startswith("out/runs/") and path.endswith("/manifest.json") and path.count("/") == 3:
            run, manifest = path.rpartition("/")[0], json.loads((folder / path).read_text())
            attempt = f"{run}/{manifest['attempt']}/"
            needed |= {path, f"{run}/"} | {found for found in everything if found.startswith(attempt)}
            number = (manifest["generation"] or {}).get("number")
            needed |= {f"out/generations/{number:06}.json"} if number else set()
    return everything - needed


def covered_by(listed: list[str], folder: Path) -> set[str]:
    """The files and folders that gc speaks of when it lists some."""
    found = set()
    for path in listed:
        place = folder / path
        name = place.relative_to(folder).as_posix()
        found.add(f"{name}/" if place.is_dir() else name)
        found |= {f"{name}/{below}" for below in tree(place)} if place.is_dir() else set()
    return found


def changed_in_older_runs(world: World, folder: Path) -> list[str]:
    """Files of the older run that are not as they were, to the time of their change."""
    now = with_times(folder / "out")
    return [path for path, before in world.older.items() if now.get(path) != before]


def is_committed(world: World, folder: Path) -> bool:
    """Whether the job's manifest is there."""
    return (folder / "out/runs" / world.run / "manifest.json").exists()


def differences(world: World, folder: Path, *, exactly: bool) -> list[str]:
    """Compares with the clean run.

    Args:
        world: The kind of job.
        folder: Where it ran.
        exactly: Whether nothing else may be there; else only what is committed is looked at.

    Returns:
        The paths that differ.
    """
    now: Tree = tree_of_runs(folder / "out")
    paths = {*world.clean, *(now if exactly else ())}
    return sorted(path for path in paths if now.get(path, "not there") != world.clean.get(path, "not there"))


def left_in_temporary_folder(folder: Path) -> list[str]:
    """What the job left in its TMPDIR, without the empty folders that Beam leaves after each job, killed or not."""
    found = [path for path in tree(folder / "tmp") if not path.endswith("/") or path.startswith("oblong-")]
    return sorted(found)


def alive(leader: int) -> list[int]:
    """The processes of a session that live."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - many names, at once
        if name.isdigit():
            try:
                told = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(told[3]) == leader and told[0] not in "ZX":
                found.append(int(name))
    return found
