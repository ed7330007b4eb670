"""The runs of a data set, and where it stands which run each generation belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.manifest import MANIFEST, read_whole
from transforms.arrays.errors import ConfigError, JobError, OblongError, StoreError
from transforms.files import exists, is_local, list_subfolders, require_store

if TYPE_CHECKING:
    from pipeline.manifest import Manifest


class Run(NamedTuple):
    """A run of a data set, or what there is of it.

    Attributes:
        folder: Where it is.
        status: "committed"; "unfinished" without a manifest; "damaged" with one that cannot be read.
        manifest: Of a committed one, else None.
    """

    folder: str
    status: str
    manifest: Manifest | None = None

    @property
    def run_id(self) -> str:
        """Its name."""
        return self.folder.rpartition("/")[2]

    @property
    def created(self) -> str | None:
        """When it was made; None where nobody knows."""
        return None if self.manifest is None else str(self.manifest["created"])

    @property
    def generation(self) -> int | None:
        """Its number in a data set that grows; None where it is none of those."""
        return None if self.manifest is None else int((self.manifest.get("generation") or {}).get("number", 0)) or None


def read_run(folder: str) -> Run:
    """Looks at one run.

    Args:
        folder: Where it is.

    Returns:
        The run.

    Raises:
        StoreError: Its file system does not answer: that is no damage.
    """
    if not exists(f"{folder}/{MANIFEST}"):
        return Run(folder, "unfinished")
    try:
        return Run(folder, "committed", read_whole(folder)[0])
    except StoreError:
        raise
    except OblongError:
        return Run(folder, "damaged")


def run_folders(output: str) -> list[str]:
    """Finds the runs of a data set; nothing of them is read.

    Args:
        output: `write.path`.

    Returns:
        Their folders, in order.

    Raises:
        ConfigError: The folder is none that a job has written to.
    """
    require_store(output, "OUTPUT")
    runs = _runs_folder(output)
    found = _folders_in(runs)
    if not found and not (is_local(runs) and Path(runs).is_dir()):  # elsewhere an empty folder may be none at all
        raise ConfigError(f"OUTPUT: {output} has no folder runs/; give the write.path of a job")
    return found


def read_runs(output: str) -> list[Run]:
    """Looks at the runs of a data set.

    Args:
        output: `write.path`.

    Returns:
        The runs, the oldest first, and those behind of which nobody knows when they were made.

    Raises:
        ConfigError: The folder is none that a job has written to.
    """
    return sorted(map(read_run, run_folders(output)), key=lambda run: (run.created or "9", run.run_id))


def list_runs(output: str) -> list[dict[str, Any]]:
    """Lists the runs of a data set, the oldest first.

    Args:
        output: `write.path`.

    Returns:
        A dict for each run: run_id, created, status, generation, rows, tokens, bytes, folder. A run without a manifest
        is "unfinished", one whose manifest cannot be read "damaged".
    """
    found = []
    for run in read_runs(output):
        row: dict[str, Any] = {"run_id": run.run_id, "created": run.created, "status": run.status}
        row |= {"generation": run.generation, "rows": None, "tokens": None, "bytes": None, "folder": run.folder}
        if run.manifest is not None:
            totals = run.manifest["totals"]
            size = sum(file["bytes"] for file in run.manifest["files"])
            row |= {"rows": totals["rows_written"], "tokens": totals["tokens"], "bytes": size}
        found.append(row)
    return found


def committed_manifests(output: str) -> list[Manifest]:
    """Reads the manifests of a data set.

    Args:
        output: `write.path`; without any run there is none.

    Returns:
        The manifests of the committed runs, in the order of their generations, else the oldest first.

    Raises:
        JobError: One is damaged, or another run's, so nobody can tell what its run has read.
    """
    folders = [folder for folder in _folders_in(_runs_folder(output)) if exists(f"{folder}/{MANIFEST}")]
    found = [Run(folder, "committed", _own_manifest(folder)) for folder in folders]
    found.sort(key=lambda run: (run.generation or 0, run.created, run.run_id))
    return [run.manifest for run in found if run.manifest is not None]


def _own_manifest(folder: str) -> Manifest:
    """The manifest of the run that a folder is named after: by that name others find its files."""
    manifest = read_whole(folder)[0]
    if manifest["run_id"] != folder.rpartition("/")[2]:
        raise JobError(
            f"{folder}/{MANIFEST}: is of run {manifest['run_id']}, and its folder has another name; give the folder "
            "the name of its run, or move it elsewhere"
        )
    return manifest


def _folders_in(folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in list_subfolders(folder)]


def _runs_folder(output: str) -> str:
    return Path(output, "runs").as_posix() if is_local(output) else f"{output.rstrip('/')}/runs"


def run_folder(output: str, run_id: str) -> str:
    """Where a run is."""
    return f"{_runs_folder(output)}/{run_id}"


def turns_folder(output: str) -> str:
    """Where it stands which run each generation belongs to."""
    return f"{output.rstrip('/')}/generations"
