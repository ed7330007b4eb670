"""What a manifest says of a job before it runs."""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

import msgspec

from transforms.arrays.formats import TYPE_NAMES
from transforms.arrays.readers.rows import KEPT_NAMES

if TYPE_CHECKING:
    from pipeline.job import Job

VERSIONED = ("oblong", "apache-beam", "tokenizers", "pyarrow", "numpy")


def resolved(job: Job) -> dict[str, Any]:
    """The configuration as the manifest has it, with what was null or auto filled in."""
    structs = msgspec.structs
    config = structs.replace(
        job.config,
        read=structs.replace(job.config.read, keep={name: KEPT_NAMES[k] for name, k in job.corpus.kept.items()}),
        truncate=job.shape.truncation,
        bucket=structs.replace(job.config.bucket, boundaries=job.shape.layout.edges),
        pad=structs.replace(job.shape.layout.padding, token=job.config.pad.token or job.facts.pad_token),
        write=structs.replace(
            job.config.write,
            columns=job.shape.columns,
            # Without a shuffle the units of work are the shards, and a number of them would be refused.
            shards=job.shape.shards if job.config.run.shuffles else "auto",
            compression=job.config.write.codecs(),
        ),
        split=dict(job.shape.splits),
    )
    sections: dict[str, Any] = msgspec.to_builtins(config)
    return sections


def versions() -> dict[str, str]:
    """Versions of what the data files depend on."""
    return {name: metadata.version(name) for name in VERSIONED}


def describe(job: Job) -> dict[str, Any]:
    """Everything of a manifest that is known before the job runs.

    Args:
        job: The job.

    Returns:
        The manifest without files, dead letters and totals.
    """
    return {
        "run_id": job.run_id,
        "attempt": job.attempt,
        "created": job.created,
        "fingerprint": job.fingerprint,
        "recipe": job.recipe,
        "generation": None if job.increment is None else job.increment._asdict(),
        "config": resolved(job),
        "notes": list(job.notes),
        "tokenizer": {
            "path": f"{job.attempt}/tokenizer",
            "sha256": job.facts.sha256,
            "config_sha256": hashlib.sha256(job.files.config_json).hexdigest() if job.files.config_json else None,
            "engine": job.engine,
            "engine_reason": job.engine_reason,
            "vocab_size": job.facts.vocab_size,
            "model_max_length": job.facts.model_max_length,
        },
        # A checksum is there where the file system keeps one.
        "inputs": [{k: v for k, v in file._asdict().items() if v is not None} for file in job.corpus.files],
        "schema": [{"name": field.name, "type": TYPE_NAMES[field.type]} for field in job.schema],
        "versions": versions(),
    }
