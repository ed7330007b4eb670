"""Runners: what Oblong knows of each engine, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.dataflow import check_dataflow
from pipeline.portable import check_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


class Runner(NamedTuple):
    """An engine that jobs run on.

    Attributes:
        defaults: Options it gets unless the user names them; $cores stands for how many there are.
        loopback: Options it gets besides where its workers run in the launcher.
        needs: Options it cannot do without, each with an example.
        portable: Whether `environment_type` says where its workers run: in the launcher (LOOPBACK), unless the user
            says otherwise or the engine is on another machine.
        in_cloud: Whether its workers never see the launcher's disk, and its jobs go on without the launcher.
        engine_options: Options that the engine knows and Beam in Python does not.
        check: Looks at options that go wrong late, or badly, inside Beam; raises ConfigError.
    """

    defaults: tuple[str, ...] = ()
    loopback: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    portable: bool = True
    in_cloud: bool = False
    engine_options: tuple[str, ...] = ()
    check: Callable[[argparse.Namespace], None] | None = None


RUNNERS: dict[str, Runner] = {
    "DirectRunner": Runner(
        defaults=(
            # Without this Beam first downloads a Go binary and runs on that.
            "--prism_location=disabled",
            # Worker processes tell their life's story at INFO; what fails in them the launcher tells.
            "--default_sdk_harness_log_level=ERROR",
            "--sdk_harness_log_level_overrides="
            '{"apache_beam.runners.common": "CRITICAL", "apache_beam.runners.worker.sdk_worker": "CRITICAL"}',
        ),
        portable=False,
    ),
    "PrismRunner": Runner(defaults=("--prism_log_level=error",), check=check_environment),
    "PortableRunner": Runner(needs=("--job_endpoint=localhost:8099",), check=check_environment),
    "FlinkRunner": Runner(
        loopback=("--parallelism=$cores",),
        engine_options=("object_reuse", "faster_copy", "number_of_execution_retries", "execution_retry_delay"),
        check=check_environment,
    ),
    "SparkRunner": Runner(engine_options=("storage_level", "cache_disabled", "bundle_size"), check=check_environment),
    "DataflowRunner": Runner(
        needs=("--project=PROJECT", "--region=us-central1", "--temp_location=gs://BUCKET/tmp"),
        defaults=(
            "--no_save_main_session",  # nothing of a job is in there, and workers could fail to load it
            "--number_of_worker_harness_threads=2",  # each holds a shard; Beam's own default is 12
        ),
        portable=False,
        in_cloud=True,
        check=check_dataflow,
    ),
}

REFUSED = {
    "DaskRunner": "it loses data silently: of two sinks only the last runs",
    "FnApiRunner": "its worker processes lose the pipeline's options; DirectRunner is the same engine without that",
}
