"""A side channel on which workers say how far they are: runners in the same machine have none of their own."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """Notes of many workers, in files of their own.

    Attributes:
        folder: On a disk that the launcher and its workers share.
    """

    folder: str

    def note(self, **numbers: int) -> None:
        """Appends numbers: small enough that lines of one file never mix.

        Args:
            numbers: To be added up by name.
        """
        path = Path(self.folder) / f"{os.getpid()}-{threading.get_ident()}.jsonl"
        try:
            with path.open("a") as stream:
                stream.write(json.dumps(numbers) + "\n")
        except OSError:
            return  # a display must not stop the job

    def totals(self) -> dict[str, int]:
        """Adds all notes up; a line that is still being written is left for the next time."""
        sums: dict[str, int] = {}
        for path in Path(self.folder).glob("*.jsonl"):
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    for name, number in json.loads(line).items():
                        sums[name] = sums.get(name, 0) + number
        return sums
