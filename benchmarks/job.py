"""The work that every contestant does: the same rows, the same columns, the same truncation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BOUNDARIES = (32, 64, 128, 256, 512)  # tokens; upper-inclusive
ROWS = 64  # of a batch


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        files: JSON Lines with `id` and `text`.
        tokenizer: A folder with tokenizer.json and tokenizer_config.json.
        pad_id: The id to pad with.
        max_length: Tokens of a row, special ones included; longer rows lose their end.
        format: "parquet" or "tfrecord"; "none" for those that throw their output away.
        output: The folder for the shards: `id`, `input_ids`, `attention_mask`, batches of one width.
        scratch: A folder for what is needed on the way.
        workers: How many; None: as many as the contestant takes by itself.
    """

    files: tuple[str, ...]
    tokenizer: str
    pad_id: int
    max_length: int
    format: str
    output: str
    scratch: str
    workers: int | None = None

    def save(self, path: Path) -> None:
        """Writes the job to a JSON file."""
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Job:
        """Reads a job from a JSON file."""
        fields: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return cls(**fields | {"files": tuple(fields["files"])})
