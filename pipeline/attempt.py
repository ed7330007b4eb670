"""An attempt at a job: what its workers need is put where they can read it."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.description import describe
from pipeline.generations import turns_folder
from pipeline.leftovers import note_spills
from pipeline.manifest import canonical
from pipeline.workers import unit_bytes
from transforms.arrays.errors import ConfigError, JobError
from transforms.files import is_local, list_folder, write_bytes
from transforms.filesystems.system import spell
from transforms.tokenizer_files import CONFIG, TOKENIZER
from transforms.units import UnitList, list_units, units_of

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.job import Job
    from transforms.arrays.readers import Reading

UNITS, DESCRIBED = "units.jsonl", "described.json"  # in the scratch folder


class Attempt(NamedTuple):
    """An attempt at a job, begun: what its workers need is where they can read it.

    Attributes:
        config: The configuration with paths as workers are to use them.
        units: Where the units of work are listed.
        described: Where the manifest stands, as far as it is known.
    """

    config: Config
    units: UnitList
    described: str


def begin_attempt(job: Job, *, workers: int | None = None, spills: str | None = None, dry: bool = False) -> Attempt:
    """Puts what workers need where the output goes: the tokenizer as used, the units of work, what is known of the run.

    So workers need no access to the launcher's disk, and the job's description is small however many the inputs are.

    Args:
        job: The job.
        workers: How many there are; None where nobody knows.
        spills: Where the attempt spills rows, noted so that they are found if it is killed.
        dry: Whether to write nothing.

    Returns:
        The attempt.

    Raises:
        ConfigError: The output cannot be written, or is of a corpus that grows and the job would not add to that.
        JobError: Its file system does not answer.
    """
    if job.increment is None and not dry:
        _refuse_ordinary(job.config.write.path)
    reading = units_for(job, workers)
    units, listed = list_units(units_of(job.corpus, reading), f"{job.scratch_folder}/{UNITS}")
    folder, described = f"{job.attempt_folder}/tokenizer", f"{job.scratch_folder}/{DESCRIBED}"
    files = {f"{folder}/{TOKENIZER}": job.files.tokenizer_json, units.path: listed, described: canonical(describe(job))}
    if job.files.config_json is not None:
        files[f"{folder}/{CONFIG}"] = job.files.config_json
    if not dry:
        _write(job, files, spills)
    structs = msgspec.structs
    config = structs.replace(
        job.config,
        read=reading,
        tokenize=structs.replace(job.config.tokenize, tokenizer=folder, engine=job.engine),
        write=structs.replace(job.config.write, path=job.attempt_folder),
    )
    return Attempt(config, units, described)


def _refuse_ordinary(output: str) -> None:
    """An ordinary run among generations would hold rows that they hold too."""
    if list_folder(turns_folder(output)):
        raise ConfigError(
            f"write.path: {output} holds a corpus that grows, and this run would read again what its generations have "
            "read; add to it with --set run.incremental=true, or give another write.path"
        )


def _write(job: Job, files: dict[str, bytes], spills: str | None) -> None:
    try:
        for path, content in files.items():
            write_bytes(path, content)
        if spills is not None:
            note_spills(job.scratch_folder, spills)
    except JobError as error:
        if error.passing:
            raise
        cause = error.__cause__
        said = spell(cause) if isinstance(cause, OSError) and is_local(job.config.write.path) else error
        raise ConfigError(f"write.path: {job.config.write.path} cannot be written: {said}") from error


def spill_folder(job: Job, *, shared_disk: bool) -> str | None:
    """Says where rows go on their way to their shards.

    Args:
        job: The job.
        shared_disk: Whether all workers see the launcher's disk.

    Returns:
        A folder of this attempt alone; None where the runner carries the rows, or nothing does.
    """
    running = job.config.run
    if running.shuffle in ("runner", "none") or (running.shuffle == "auto" and not shared_disk):
        return None
    if running.spill_dir is None and is_local(job.config.write.path):
        return f"{job.scratch_folder}/spill"
    folder = running.spill_dir or tempfile.gettempdir()
    if not is_local(folder):
        raise ConfigError(
            f"run.spill_dir: {folder} is on no disk of this machine, and has to be: rows are mapped from it"
        )
    return f"{folder.rstrip('/')}/oblong-{job.run_id}-{job.attempt}"


def units_for(job: Job, workers: int | None) -> Reading:
    """Says how the inputs are read: in units of work of which each worker gets several.

    Args:
        job: The job.
        workers: How many there are; None where nobody knows.

    Returns:
        The section `read`, its `split_bytes` lowered where that helps and what is written does not depend on it.
    """
    reading = job.config.read
    if workers is None or not job.config.run.shuffles:
        return reading
    return msgspec.structs.replace(reading, split_bytes=unit_bytes(reading.split_bytes, job.corpus.bytes, workers))
