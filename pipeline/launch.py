"""Running a job: once, on one runner, until it is committed or has failed."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions

from pipeline.description import versions
from pipeline.graph import build_job
from pipeline.job import Job, next_free, prepare, spill_folder
from pipeline.manifest import MANIFEST, Manifest, read_manifest
from pipeline.progress import show_progress
from pipeline.quiet import quiet_workers, what_was_hidden
from pipeline.runners import Checked, check_options
from pipeline.workers import IN_MEMORY, Workers, direct_workers
from transforms.arrays.errors import ConfigError, JobError
from transforms.arrays.readers import detect
from transforms.files import exists
from transforms.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.config import Config


LOGGER = logging.getLogger("oblong")


class Outcome(NamedTuple):
    """How running a job ended.

    Attributes:
        manifest: Of the committed run.
        folder: The run's folder.
        status: "done", or "already done".
        notes: What the user should know, each a sentence.
    """

    manifest: Manifest
    folder: str
    status: str
    notes: tuple[str, ...]


def run(config: Config, beam_options: Sequence[str] = ()) -> Manifest:
    """Runs a job and waits for it.

    Args:
        config: The configuration.
        beam_options: Beam's, as flags; they beat the section `beam`.

    Returns:
        The manifest; of the run as it is, where the same was committed already.

    Raises:
        ConfigError: The configuration cannot work; nothing was written.
        JobError: The job failed; nothing is committed.
    """
    return run_job(config, beam_options).manifest


def run_job(
    config: Config, options: Sequence[str] = (), *, force: bool = False, say: Callable[[str], None] | None = None
) -> Outcome:
    """Runs a job and tells how it ended: see `run`.

    Args:
        config: The configuration.
        options: Beam's, as flags.
        force: Whether to make a new run where the same is committed already.
        say: Gets sentences for the user before the job starts; None to log them as warnings of "oblong".

    Returns:
        The outcome.
    """
    checked = check_options(config.beam, options)
    runner = checked.runner
    job = prepare(config)
    if force:
        job = next_free(job)
    elif exists(f"{job.run_folder}/{MANIFEST}"):
        return _already_done(job)
    for note in job.notes:
        (say or LOGGER.warning)(note)
    LOGGER.info("engine %s: %s", job.engine, job.engine_reason)
    workers = put_to_work(checked, job)
    if workers.number > 1 and "direct_num_workers" not in checked.given:
        (say or LOGGER.info)(f"{workers.number} workers, {workers.mode}: --direct_num_workers=N to have others")
    spills = spill_folder(job, shared_disk=runner.local)
    if spills is not None:
        check_room(job, spills)
    with tempfile.TemporaryDirectory(prefix="oblong-") as folder:
        progress = Progress(folder) if runner.local else None
        hide = runner.local and workers.mode != IN_MEMORY and os.environ.get("OBLONG_DEBUG") is None
        try:
            pipeline = beam.Pipeline(options=checked.options)
            build_job(pipeline, job, progress, shared_disk=runner.local, workers=workers.number)
            with quiet_workers(folder, hide=hide) as shown, show_progress(progress, job.corpus.bytes, shown):
                pipeline.run().wait_until_finish()
        except Exception as error:
            explained = explain(error)
            if explained is error:
                sys.stderr.write(what_was_hidden(folder))
            raise explained from error
        finally:
            for left in filter(None, (job.scratch_folder, spills)):
                shutil.rmtree(left, ignore_errors=True)
    manifest = read_manifest(job.run_folder)
    if manifest["attempt"] != job.attempt:
        return Outcome(manifest, job.run_folder, "already done", ("another attempt at this run was faster",))
    return Outcome(manifest, job.run_folder, "done", job.notes)


def put_to_work(checked: Checked, job: Job) -> Workers:
    """Chooses how many workers there are, where that is not for the runner or the user to say.

    Args:
        checked: Beam's options; what is chosen is put there.
        job: The job.

    Returns:
        The workers.
    """
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
            f"{needed:,}; name a folder on another disk"
        )


def _already_done(job: Job) -> Outcome:
    """Finds that the run is there; refuses one of the same name that is something else."""
    manifest = read_manifest(job.run_folder)
    if manifest["fingerprint"] != job.fingerprint:
        raise ConfigError(
            f"run.id: {job.run_id} is committed already with another configuration, tokenizer or inputs "
            f"(fingerprint {manifest['fingerprint'][:16]}, this is {job.fingerprint[:16]}); choose another id, "
            "or --force for a new run beside it"
        )
    now = versions()
    changed = [
        f"it was made with {name} {manifest['versions'].get(name)}, this is {now[name]}; --force makes a new run"
        for name in ("oblong", "tokenizers", "pyarrow")
        if manifest["versions"].get(name) != now[name]
    ]
    return Outcome(manifest, job.run_folder, "already done", tuple(changed))


def explain(error: Exception) -> Exception:
    """Finds the sentence for the user in what a runner raises.

    Runners hand a worker's error on as text with its traceback.

    Args:
        error: What was raised.

    Returns:
        A `JobError` or `ConfigError` with the sentence, or the error itself where it has none.
    """
    if isinstance(error, ConfigError | JobError):
        kind, sentence = type(error).__name__, str(error)
    else:
        found = re.findall(r"transforms\.arrays\.errors\.(ConfigError|JobError): (.*)", str(error))
        if not found:
            return error
        kind, sentence = found[-1]
    sentence = re.sub(r" \[while running .*\]$", "", sentence.rstrip())
    return ConfigError(sentence) if kind == "ConfigError" else JobError(sentence)
