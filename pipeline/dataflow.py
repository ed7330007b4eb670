"""Dataflow: its options checked before Beam acts on them, and a job there followed, left or lost sight of."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any

from transforms.arrays.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from pipeline.job import Job

JOB_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST = 63  # characters of a job's name

# Where the launcher of a Flex template has Beam leave the job, for the service to start it at once.
FLEX_LAUNCH = "/template_launches/"


def check_dataflow(named: argparse.Namespace) -> None:
    """Checks Dataflow's options.

    Args:
        named: Beam's options by name.

    Raises:
        ConfigError: A folder is not on Cloud Storage, where Beam would go and make a bucket; a name is none that the
            service takes; or a classic template is asked for.
    """
    for option in ("temp_location", "staging_location"):
        value = getattr(named, option)
        if value and not re.fullmatch(r"gs://[a-z0-9][-_.a-z0-9]+(/.*)?", value):
            raise ConfigError(f"--{option}: {value!r} is no place on Cloud Storage; write e.g. gs://BUCKET/tmp")
    if named.job_name and not JOB_NAME.fullmatch(named.job_name):
        raise ConfigError(
            f"--job_name: {named.job_name!r} is none that Dataflow takes; write lower-case letters, digits and "
            "dashes, a letter first and no dash last"
        )
    template = named.template_location or ""
    if template.startswith("gs://") and FLEX_LAUNCH not in template:
        raise ConfigError(
            "--template_location: a classic template would freeze one attempt at one run for ever; "
            "make a Flex template, which starts a run of its own each time: see docs/dataflow.md"
        )


def job_name(job: Job) -> str:
    """Names the job after its run, so that a second launch of a run that goes on is refused by the service.

    Args:
        job: The job.

    Returns:
        A name that Dataflow takes.

    >>> from types import SimpleNamespace
    >>> job_name(SimpleNamespace(run_id="2026-nightly"))
    'oblong-2026-nightly'
    >>> job_name(SimpleNamespace(run_id="2026_Nightly"))
    'oblong-2026-nightly-7874e59f'
    """
    wanted = f"oblong-{job.run_id}"
    name = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")
    if name == wanted and len(name) <= LONGEST:
        return name
    # Other runs come to the same name, and one that the service knows already is refused.
    own = hashlib.sha256(job.run_id.encode()).hexdigest()[:8]
    return f"{name[: LONGEST - len(own) - 1].rstrip('-')}-{own}"


def check_places(job: Job) -> None:
    """Checks that workers in a cloud can reach what the job reads and writes.

    Args:
        job: The job.

    Raises:
        ConfigError: Something is on this machine's disk; the tokenizer may be, since the launcher takes it along.
    """
    from transforms.files import is_local

    for key, path in (("write.path", job.config.write.path), ("read.files", job.corpus.files[0].path)):
        if is_local(path):
            raise ConfigError(
                f"{key}: {path} is on this machine's disk, which Dataflow's workers cannot see; use gs://"
            )
    if job.config.run.shuffle == "files":
        raise ConfigError("run.shuffle: files needs a disk that all workers see; Dataflow has none: write runner")


def without_trailer(text: str) -> str:
    r"""Takes off what the service puts after a worker's error, so that its last line says what went wrong.

    Args:
        text: What the service tells of a job's failure, or Beam of the service.

    Returns:
        The text up to the error's own last line.

    >>> without_trailer("Traceback:\nOSError: disk full\n\npassed through:\n==>\n    worker/service.cc:1335")
    'Traceback:\nOSError: disk full'
    >>> without_trailer("Dataflow pipeline failed. State: CANCELLED, Error:\nNone")
    'Dataflow pipeline failed. State: CANCELLED'
    """
    return text.partition("\npassed through:")[0].rstrip().removesuffix(", Error:\nNone")


def shorten_traceback(record: logging.LogRecord) -> bool:
    """A filter for Beam's log: of a worker's traceback, which the service passes on, it leaves the last line.

    Args:
        record: Changed where it holds a traceback.

    Returns:
        True: every record is shown.
    """
    head, found, traceback = record.getMessage().partition("Traceback (most recent call last)")
    if found:
        record.msg, record.args = head + without_trailer(traceback).splitlines()[-1].strip(), ()
    return True


def is_submitted(result: Any) -> bool:
    """Whether the service has a job to wait for: the launcher of a template hands it over and has none."""
    return bool(getattr(result, "has_job", False))


def where_it_runs(result: Any, options: Any) -> str:
    """Says where a job that goes on without the launcher can be watched and stopped.

    Args:
        result: What submitting it gave.
        options: Beam's.

    Returns:
        A sentence without its end.
    """
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    cloud = options.view_as(GoogleCloudOptions)
    flags = f"{result.job_id()} --region={cloud.region} --project={cloud.project}"
    return f"watch it: gcloud dataflow jobs show {flags}; stop it: gcloud dataflow jobs cancel {flags}"


def ask_service(options: dict[str, Any]) -> str:
    """Asks the service for a job that is not there: whoever is told so may use it.

    Args:
        options: Beam's options by name.

    Returns:
        What was found.

    Raises:
        ConfigError: The extra is missing, or the service refuses.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient
        from google.api_core.exceptions import NotFound
        from google.cloud import dataflow_v1beta3
    except ImportError as error:
        raise ConfigError("--runner: DataflowRunner needs the extra gcp: pip install 'oblong[gcp]'") from error
    project, region = options["project"], options["region"]
    request = dataflow_v1beta3.GetJobRequest(project_id=project, location=region, job_id="oblong-doctor")
    try:
        client = DataflowApplicationClient(
            PipelineOptions.from_dictionary({name: value for name, value in options.items() if value is not None})
        )
        client._jobs_client.get_job(request=request, retry=None, timeout=30)
    except NotFound:
        return f"Dataflow answers for {project} in {region}"
    except Exception as error:
        raise ConfigError(f"--project: Dataflow does not answer for {project} in {region}: {error}") from error
    return f"Dataflow answers for {project} in {region}"
