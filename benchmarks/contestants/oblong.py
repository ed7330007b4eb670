"""Oblong as a user runs it: the command, from start to exit, with its own defaults."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.job import Job


def command(job: Job) -> list[str]:
    """The command line; buckets, batches, compression, engine and shuffle are Oblong's defaults."""
    program = Path(sys.executable).with_name("oblong")
    settings = {
        "read.keep": {"id": "int64"},
        "truncate.max_length": job.max_length,
        "write.columns": ["input_ids", "attention_mask"],
        "write.formats": [job.format],
    }
    return [
        *([str(program)] if program.exists() else [sys.executable, "-m", "pipeline"]),
        "run",
        *(f"--input={file}" for file in job.files),
        f"--tokenizer={job.tokenizer}",
        f"--output={job.output}",
        *(f"--set={key}={json.dumps(value)}" for key, value in settings.items()),
        *([f"--direct_num_workers={job.workers}"] if job.workers else []),
    ]
