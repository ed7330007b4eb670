"""All generations of a data set, read as one, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.generations import committed_manifests, read_runs, turns_folder
from pipeline.lineage import check_lineage
from pipeline.manifest import FORMAT_VERSION, MANIFEST
from pipeline.printable import printable
from pipeline.verify import Verdict, verify
from transforms.arrays.errors import ConfigError, OblongError
from transforms.files import exists, list_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.manifest import Manifest


def read_data_set(output: str) -> Manifest:
    """Reads the manifests of all generations as one.

    Args:
        output: `write.path`.

    Returns:
        A manifest whose paths are relative to `output`: `files`, `dead_letters`, `inputs` and `totals` of all
        generations, the schema and the tokenizer that they share, `generations`, a list of `number`, `run_id` and
        `rows`, and `superseded`: files that a later generation has read again, with the run that holds their older
        rows.

    Raises:
        ConfigError: There is no run, or the runs are no generations of one data set, or not all of them.
    """
    manifests = committed_manifests(output)
    if not manifests:
        raise ConfigError(f"OUTPUT: {output} has no committed run; see what there is: oblong runs {output}")
    _check_alike(output, manifests)
    first, last = manifests[0], manifests[-1]
    return {
        "format_version": FORMAT_VERSION,
        "recipe": last["recipe"],
        "generations": [
            {"number": number, "run_id": one["run_id"], "rows": one["totals"]["rows_written"]}
            for number, one in enumerate(manifests, 1)
        ],
        "config": last["config"],
        "schema": first["schema"],
        "tokenizer": {**last["tokenizer"], "path": f"runs/{last['run_id']}/{last['tokenizer']['path']}"},
        "inputs": [{**entry, "run_id": one["run_id"]} for one in manifests for entry in one["inputs"]],
        "superseded": list(_superseded(manifests)),
        "files": [_placed(one, file) for one in manifests for file in one["files"]],
        "dead_letters": [_placed(one, file) for one in manifests for file in one["dead_letters"]],
        "totals": add_totals(one["totals"] for one in manifests),
    }


def verify_data_set(output: str) -> Verdict:
    """Reads every generation again: see `verify`; and looks whether one is missing, or a run is there that is none.

    Args:
        output: `write.path`.

    Returns:
        What was found in all of them, each difference with the folder of its run before it.

    Raises:
        ConfigError: The folder is none that a job has written to.
        StoreError: The file system does not give it.
    """
    files, rows = 0, 0
    problems: list[str] = []
    leftovers: dict[str, int] = {}
    runs = [run for run in read_runs(output) if run.status != "unfinished"]
    for run in runs:
        verdict = verify(run.folder)
        files, rows = files + verdict.files, rows + verdict.rows
        name = f"runs/{run.run_id}/"
        problems += [name + problem.removeprefix(f"{run.folder}/") for problem in verdict.problems]
        leftovers |= {name + folder: count for folder, count in verdict.leftovers.items()}
    if all(run.status == "committed" for run in runs):
        try:
            check_lineage(output, committed_manifests(output))
        except OblongError as error:
            problems.append(printable(str(error)))
    return Verdict(files, rows, problems, leftovers)


def is_data_set(folder: str) -> bool:
    """Whether a folder is the output of a corpus that grows, and no run of it."""
    return not exists(f"{folder}/{MANIFEST}") and bool(list_folder(turns_folder(folder)))


def _check_alike(output: str, manifests: list[Manifest]) -> None:
    """Generations have one recipe and one schema, and follow on each other."""
    for one in manifests:
        for key in ("recipe", "schema"):
            if one.get(key) != manifests[-1].get(key):
                raise ConfigError(
                    f"OUTPUT: runs {one['run_id']} and {manifests[-1]['run_id']} of {output} have another {key}, so "
                    "they are no generations of one data set; read them one by one"
                )
    check_lineage(output, manifests)


def _superseded(manifests: list[Manifest]) -> Iterable[dict[str, str]]:
    holders: dict[str, str] = {}
    for one in manifests:
        for entry in one["inputs"]:
            if entry["file"] in holders:
                yield {"file": entry["file"], "run_id": holders[entry["file"]]}
            holders[entry["file"]] = one["run_id"]


def _placed(manifest: Manifest, file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "path": f"runs/{manifest['run_id']}/{file['path']}"}


def add_totals(several: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Adds totals up by name, those inside of them too.

    >>> add_totals([{"rows": 1, "dropped": {"empty": 2}}, {"rows": 3, "dropped": {"empty": 0}}])
    {'rows': 4, 'dropped': {'empty': 2}}
    """
    sums: dict[str, Any] = {}
    for totals in several:
        for name, value in totals.items():
            if isinstance(value, dict):
                sums[name] = add_totals([sums.get(name, {}), value])
            else:
                sums[name] = sums.get(name, 0) + value
    return sums
