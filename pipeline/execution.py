"""A job's pipeline, run on its engine, and what there is to say of how that ended."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import TestOptions
from apache_beam.runners.runner import PipelineState

from pipeline.dataflow import is_submitted, where_it_runs, without_trailer
from pipeline.fallen import Fallen, lay_breadcrumbs, watch_workers
from pipeline.graph import build_job
from pipeline.progress import show_progress
from pipeline.quiet import quiet_workers, what_was_hidden
from pipeline.signals import undisturbed
from pipeline.workers import IN_MEMORY, Workers, cores_here
from transforms.arrays.errors import ConfigError, JobError
from transforms.files import remove_folder
from transforms.filesystems.system import disk_told, refusal
from transforms.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.job import Job
    from pipeline.options import Checked


# Lines of a stack trace that say where something happened, not what.
PLACE = re.compile(r'at |\.\.\. \d+ more|Driver stacktrace:|File "')


STOPS_WITHIN = 10  # seconds that an engine gets to stop a job

INTERRUPTED = re.compile(r"^(KeyboardInterrupt|pipeline\.signals\.Stopped)\b", re.MULTILINE)


class Ending(NamedTuple):
    """How running a pipeline ended.

    Attributes:
        status: "done", "submitted" or "dry run".
        note: What the user should know; None for nothing.
    """

    status: str
    note: str | None = None


class LeftRunning(KeyboardInterrupt):
    """The user stopped waiting for a job that goes on without the launcher; the message says where it is."""


def execute(checked: Checked, job: Job, workers: Workers | None, spills: str | None, *, wait: bool) -> Ending:
    """Runs a job's pipeline.

    Args:
        checked: Beam's options.
        job: The job.
        workers: Of DirectRunner; None where they are for the engine to say.
        spills: Where rows go on their way to their shards, to be removed afterwards; None for nowhere.
        wait: Whether to wait for a job that goes on without the launcher.

    Returns:
        How it ended.

    Raises:
        ConfigError: The output cannot be written.
        JobError: The job failed; nothing is committed.
        LeftRunning: The user stopped waiting for a job that goes on.
    """
    dry = checked.options.view_as(TestOptions).dry_run
    known = workers.number if workers is not None else cores_here() if checked.shared_disk else None
    in_memory = workers is not None and workers.mode == IN_MEMORY
    hide = not (in_memory or checked.runner.in_cloud) and os.environ.get("OBLONG_DEBUG") is None
    leave = False
    with _own_folder() as folder:
        progress = Progress(folder) if checked.shared_disk else None
        notes = lay_breadcrumbs(job, folder) if checked.shared_disk else None
        fallen = Fallen()
        try:
            pipeline = _make_pipeline(checked)
            build_job(
                pipeline,
                job,
                progress,
                breadcrumbs=notes,
                shared_disk=checked.shared_disk,
                workers=known,
                dry=dry,
            )
            with (
                watch_workers() as fallen,
                quiet_workers(folder, hide=hide) as shown,
                show_progress(progress, job.corpus.bytes, shown),
            ):
                result = pipeline.run()
                if dry:
                    return Ending("dry run", "the job can be submitted; nothing was, and nothing is written")
                leave = checked.runner.in_cloud or not wait
                if leave and not (wait and is_submitted(result)):
                    return Ending("submitted", _where(checked, result))
                _wait(checked, result)
                leave = False
        except Exception as error:
            if INTERRUPTED.search(str(error)):  # by a worker in this very process, which Ctrl-C reached first
                raise KeyboardInterrupt from error
            explained = explain(error)
            if explained is error:
                explained = fallen.explain(notes, isolate=job.config.run.isolate) or error
            if explained is error and workers is None:
                explained = _failure(checked.name, error)
            elif explained is error:
                sys.stderr.write(what_was_hidden(folder))
            raise explained from error
        finally:
            if not leave:
                _clear_up(job, spills)
    return Ending("done")


@contextmanager
def _own_folder() -> Iterator[str]:
    """Makes a folder for what the launcher notes, in the system's temporary folder; removes it as well as may be."""
    where = tempfile.gettempdir()
    with disk_told(f"TMPDIR: {where}", "written"):
        folder = tempfile.mkdtemp(prefix="oblong-")
    try:
        yield folder
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)


def _clear_up(job: Job, spills: str | None) -> None:
    """Removes what only the workers needed; the spills first, since the scratch folder says where they are."""
    with undisturbed():
        for left in filter(None, (spills, job.scratch_folder)):
            with suppress(JobError):
                remove_folder(left)


def _make_pipeline(checked: Checked) -> beam.Pipeline:
    try:
        return beam.Pipeline(options=checked.options)
    except ValueError as error:  # options that contradict each other
        raise ConfigError(f"Beam options: {' '.join(str(error).split())}") from error


def _wait(checked: Checked, result: Any) -> None:
    """Waits for the end; a job in a cloud survives the user's Ctrl-C, any other is stopped by it."""
    try:
        state = result.wait_until_finish()
    except KeyboardInterrupt:
        if checked.runner.in_cloud:
            raise LeftRunning(f"the job goes on: {_where(checked, result)}") from None
        with suppress(Exception):
            result.cancel()
            result.wait_until_finish(STOPS_WITHIN * 1000)  # workers here still read what is cleared up next
        raise
    if checked.runner.in_cloud and state not in (PipelineState.DONE, PipelineState.UPDATED):
        raise JobError(f"Dataflow ended the job in state {state}; nothing is committed; {_where(checked, result)}")


def _where(checked: Checked, result: Any) -> str:
    """Says where a job is to be found that goes on without the launcher."""
    if is_submitted(result):
        return where_it_runs(result, checked.options)
    return "the job was handed over and commits by itself; see what there is: oblong runs OUTPUT"


def _failure(name: str, error: Exception) -> JobError:
    """What an engine says of its failure can be pages; the last line that is no place in a program names the cause."""
    lines = [line.strip() for line in without_trailer(str(error)).splitlines()]
    told = [line for line in lines if re.search(r"\w{3}", line) and not PLACE.match(line)]
    cause = told[-1].removeprefix("Caused by: ") if told else type(error).__name__
    return JobError(f"{name} failed: {cause}; nothing is committed; OBLONG_DEBUG=1 shows all that was logged")


def explain(error: Exception) -> Exception:
    """Finds the sentence for the user in what a runner raises.

    Runners hand a worker's error on as text with its traceback.

    Args:
        error: What was raised.

    Returns:
        A `JobError` or `ConfigError` with the sentence, or what the machine refused; the error itself where it has
        none.
    """
    if isinstance(error, ConfigError | JobError):
        kind, sentence = type(error).__name__, str(error)
    else:
        found = re.findall(r"transforms\.arrays\.errors\.(ConfigError|JobError|StoreError): (.*)", str(error))
        if not found:
            refused = refusal(f"{type(error).__name__}: {error}")
            return JobError(f"{refused}; nothing is committed") if refused else error
        kind, sentence = found[-1]
    sentence = re.sub(r" \[while running .*\]$", "", sentence.rstrip())
    return ConfigError(sentence) if kind == "ConfigError" else JobError(sentence)
