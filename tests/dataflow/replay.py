"""Runs a staged pipeline on workers of its own: `python replay.py PIPELINE WORKER`, WORKER being a shell command."""

from __future__ import annotations

import sys
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


def replay(staged: Path, worker: str) -> str:
    """Runs a pipeline as it was staged, with another way to start its workers.

    Args:
        staged: The pipeline's proto.
        worker: The command that starts a worker.

    Returns:
        The state in which it ends.
    """
    proto = beam_runner_api_pb2.Pipeline.FromString(staged.read_bytes())
    for environment in proto.components.environments.values():
        environment.urn = "beam:env:harness_subprocess_python:v1"
        environment.payload = worker.encode()
        del environment.dependencies[:]  # installed already, as the container's boot does it
    result = FnApiRunner().run_via_runner_api(proto, PipelineOptions([]))
    return str(result.wait_until_finish())


if __name__ == "__main__":
    sys.stdout.write(replay(Path(sys.argv[1]), sys.argv[2]) + "\n")
