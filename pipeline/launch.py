"""Running a job: once, on one runner, until it is committed or has failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from apache_beam.options.pipeline_options import GoogleCloudOptions

from pipeline.attempt import spill_folder
from pipeline.commands import count
from pipeline.dataflow import check_places, job_name
from pipeline.description import versions
from pipeline.execution import execute
from pipeline.fallen import last_words
from pipeline.increments import Increment, check_increment
from pipeline.job import Job, next_free, prepare
from pipeline.manifest import MANIFEST, Manifest, read_manifest, read_whole
from pipeline.options import Checked, check_options
from pipeline.reach import reach
from pipeline.resources import check_room, put_to_work
from transforms.arrays.errors import ConfigError, OblongError
from transforms.files import exists, use_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.config import Config
    from pipeline.workers import Workers


LOGGER = logging.getLogger("oblong")


class StoppedLate(KeyboardInterrupt):
    """The user stopped a job whose run is committed."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"the run is committed: {folder}")


class Outcome(NamedTuple):
    """How running a job ended.

    Attributes:
        manifest: Of the committed run; None where nobody waited for it.
        folder: The run's folder.
        status: "done", "already done", "submitted" or "dry run".
        notes: What the user should know, each a sentence.
    """

    manifest: Manifest | None
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
    manifest = run_job(config, beam_options).manifest
    if manifest is None:
        raise ConfigError("--dry_run: there is no manifest to give back; use the command `oblong run`")
    return manifest


def run_job(
    config: Config,
    options: Sequence[str] = (),
    *,
    force: bool = False,
    wait: bool = True,
    say: Callable[[str], None] | None = None,
) -> Outcome:
    """Runs a job and tells how it ended: see `run`.

    Args:
        config: The configuration.
        options: Beam's, as flags.
        force: Whether to make a new run where the same is committed already.
        wait: Whether to wait for a job that goes on without the launcher.
        say: Gets sentences for the user before the job starts; None to log them as warnings of "oblong".

    Returns:
        The outcome.

    Raises:
        LeftRunning: The user stopped waiting for a job that goes on.
        StoppedLate: The user stopped it when it was committed.
    """
    checked = check_options(config.beam, options)
    _check_wait(checked, wait=wait)
    use_options(checked.options)
    job = prepare(config, extras=not checked.staged)
    if force:
        _check_force(job)
        job = next_free(job)
    elif exists(f"{job.run_folder}/{MANIFEST}"):
        return _already_done(job)
    if job.increment is not None:
        if job.increment.is_empty:
            return Outcome(None, job.run_folder, "nothing new", (_what_is_there(job.increment),))
        check_increment(config, job.increment, job.run_id)
    workers, spills = _get_ready(checked, job, say)
    return _carry_out(checked, job, workers, spills, wait=wait)


def _carry_out(checked: Checked, job: Job, workers: Workers | None, spills: str | None, *, wait: bool) -> Outcome:
    """Runs the job; what is committed is done, whatever stopped it afterwards."""
    try:
        ending = execute(checked, job, workers, spills, wait=wait)
        if ending.status != "done":
            return Outcome(None, job.run_folder, ending.status, (ending.note,) if ending.note else ())
        return _finished(job)
    except KeyboardInterrupt as interrupt:
        if not str(interrupt) and _is_committed(job):
            raise StoppedLate(job.run_folder) from None
        raise
    except Exception:
        if not _is_committed_for_sure(job):
            raise
        return _finished(job)  # what failed is a worker, or the engine, that had nothing left to do


def _get_ready(checked: Checked, job: Job, say: Callable[[str], None] | None) -> tuple[Workers | None, str | None]:
    """Settles what is left open, and says it: workers, where this process is to start them, and the spills' folder."""
    if checked.runner.in_cloud:
        check_places(job)
        _name_job(checked, job)
    for note in filter(None, (*job.notes, last_words(job))):
        (say or LOGGER.warning)(note)
    LOGGER.info("engine %s: %s", job.engine, job.engine_reason)
    workers = put_to_work(checked, job)
    spills = spill_folder(job, shared_disk=checked.shared_disk)
    chosen = _what_was_chosen(checked, job, workers, spills)
    if chosen is not None:
        (say or LOGGER.info)(chosen)
    if spills is not None:
        check_room(job, spills)
    if checked.runner.portable:
        reach(checked)  # Beam would wait for an engine that is not there without a word
    return workers, spills


def _check_wait(checked: Checked, *, wait: bool) -> None:
    """Refuses to leave a job alone whose workers or engine would leave with the launcher."""
    if not wait and checked.waits:
        raise ConfigError(
            f"--no_wait: with {checked.name} the job runs in this process or beside it, and would end with it; "
            "it is for DataflowRunner, or a job server of its own and workers outside (--environment_type)"
        )


def _name_job(checked: Checked, job: Job) -> None:
    cloud = checked.options.view_as(GoogleCloudOptions)
    cloud.job_name = cloud.job_name or job_name(job)


def _check_force(job: Job) -> None:
    if job.increment is not None:
        raise ConfigError("--force: with run.incremental the same inputs would be in the data set twice; leave it out")


def _what_is_there(increment: Increment) -> str:
    if not increment.seen and not increment.young:
        generations = count(len(increment.previous), "generation")
        return f"no file matches read.files now, beside {generations} with rows: is a disk not mounted?"
    young = f", {count(len(increment.young), 'file')} too young to be read" if increment.young else ""
    return f"{count(increment.seen, 'file')} seen in {count(len(increment.previous), 'generation')}{young}"


def _what_was_chosen(checked: Checked, job: Job, workers: Workers | None, spills: str | None) -> str | None:
    """Says what the user left open and how it was filled in."""
    if workers is not None:
        if workers.number == 1 or "direct_num_workers" in checked.given:
            return None
        return f"{workers.number} workers, {workers.mode}: --direct_num_workers=N to have others"
    shuffle = "none" if not job.config.run.shuffles else "runner" if spills is None else "files"
    return " ".join([f"{checked.name} with run.shuffle={shuffle}", *checked.chosen])


def _is_committed(job: Job) -> bool:
    path = f"{job.run_folder}/{MANIFEST}"
    return exists(path) and read_manifest(path)["attempt"] == job.attempt


def _is_committed_for_sure(job: Job) -> bool:
    """Whether it is; where nobody can tell, what failed before is the error."""
    try:
        return _is_committed(job)
    except (OblongError, OSError):
        return False


def _finished(job: Job) -> Outcome:
    """Reads the manifest that the job has left."""
    manifest = read_manifest(job.run_folder)
    if manifest["attempt"] != job.attempt:
        return Outcome(manifest, job.run_folder, "already done", ("another attempt at this run was faster",))
    return Outcome(manifest, job.run_folder, "done", job.notes)


def _already_done(job: Job) -> Outcome:
    """Finds that the run is there; refuses one of the same name that is something else."""
    manifest, _ = read_whole(job.run_folder)
    # A scheduler's run is done once it is committed, whatever has arrived since: that is for the next one.
    same = manifest["fingerprint"] == job.fingerprint
    if not same and (job.increment is None or manifest.get("recipe") != job.recipe):
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
