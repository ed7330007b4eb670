"""Whether runs are the generations of one data set, all of them and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generations import run_folder
from transforms.arrays.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.manifest import Manifest


def check_lineage(output: str, manifests: list[Manifest]) -> None:
    """Checks that runs are the generations of one data set: each follows on all before it, and none is gone.

    The first may be an ordinary run. Any other that is no generation has read what generations read too.

    Args:
        output: `write.path`, for messages.
        manifests: Of all its committed runs, as `committed_manifests` gives them.

    Raises:
        ConfigError: There is a run too many, or one too few.
    """
    if not manifests:
        return
    found = [one["run_id"] for one in manifests]
    last = manifests[-1]
    line = [*last["generation"]["previous"], found[-1]] if last["generation"] is not None else found[:1]
    strange = next((run_id for run_id in found if run_id not in line), None)
    if strange is not None:
        raise ConfigError(
            f"OUTPUT: run {strange} of {output} was not incremental, so it may hold rows that other runs hold too; to "
            f"read the others as one data set, or to add to it, move the folder {run_folder(output, strange)} elsewhere"
        )
    gone = next((run_id for run_id in line if run_id not in found), None)
    if gone is not None:
        raise ConfigError(
            f"OUTPUT: run {gone} of {output} is gone, and its rows are missing in the data set; put back the folder "
            f"{run_folder(output, gone)}, or start a new version with another write.path"
        )
