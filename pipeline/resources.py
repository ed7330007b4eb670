"""What a job finds on this machine: workers, and room for rows on their way to their shards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from apache_beam.options.pipeline_options import DirectOptions

from pipeline.workers import Workers, direct_workers
from transforms.arrays.errors import ConfigError
from transforms.arrays.readers import detect

if TYPE_CHECKING:
    from pipeline.job import Job
    from pipeline.options import Checked


def put_to_work(checked: Checked, job: Job) -> Workers | None:
    """Chooses how many workers there are, where that is not for the runner or the user to say.

    Args:
        checked: Beam's options; what is chosen is put there.
        job: The job.

    Returns:
        The workers of DirectRunner; None where that is for the engine to say.
    """
    if checked.name != "DirectRunner":
        return None
    direct = checked.options.view_as(DirectOptions)
    size = text_bytes(job)
    workers = direct_workers(size, checked.given, direct.direct_running_mode, direct.direct_num_workers)
    direct.direct_running_mode, direct.direct_num_workers = workers
    return workers


def text_bytes(job: Job) -> int:
    """Bytes of the inputs as they are read: compressed text grows about fourfold."""
    return sum(file.bytes * (4 if detect(file.path, job.config.read.format).codec else 1) for file in job.corpus.files)


def check_room(job: Job, spills: str) -> None:
    """Checks that the rows on their way to their shards will find room.

    Args:
        job: The job.
        spills: Where they go.

    Raises:
        ConfigError: The disk is too full.
    """
    folder = next(parent for parent in (Path(spills), *Path(spills).absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    needed = text_bytes(job)  # four bytes an id, some four bytes of text a token
    if free < needed:
        raise ConfigError(
            f"run.spill_dir: {folder} has {free:,} bytes free, and rows on their way to their shards take about "
            f"{needed:,}; make room there, or name a folder on another disk"
        )
