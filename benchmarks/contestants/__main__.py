"""Runs a contestant in this process: `python -m benchmarks.contestants NAME JOB.json`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from benchmarks.contestants import CALLS, CONTESTANTS
from benchmarks.job import Job


def main(name: str, job_file: str) -> None:
    """Runs a contestant, and notes what its encode calls took where it times them itself."""
    job = Job.load(Path(job_file))
    module = importlib.import_module(f"benchmarks.contestants.{CONTESTANTS[name].module}")
    seconds = module.run(job)
    if seconds is not None:
        (Path(job.scratch) / CALLS).write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
