"""The section `run`: how the job as a whole goes."""

from __future__ import annotations

import re

from pipeline.age import parse_age
from transforms.arrays.errors import ConfigError, one_of
from transforms.arrays.spec import Spec, at_least

ON_CHANGED = ("error", "reprocess")

SHUFFLES = ("auto", "runner", "files", "none")

RUN_ID = re.compile(r"(?!.*manifest\.json$)[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Running(Spec, frozen=True):
    """How the job as a whole goes: the section `run`.

    Attributes:
        id: The run's name; None for a fingerprint of inputs, configuration and tokenizer.
        seed: Of row order, shards and splits.
        shuffle: How rows come together in shards: a name of `SHUFFLES`; "none" for not at all.
        spill_dir: For the shuffle through files.
        max_dead_letters: Fraction of the rows read above which the job fails.
        incremental: Whether only inputs are read that no committed run of the same output has seen.
        on_changed: What becomes of a file that one has seen with another content: a name of `ON_CHANGED`.
        min_age: How long a file must have been left alone to be read, when incremental: e.g. 10m.
        isolate: Whether texts are encoded in processes of their own, which a text may kill.
    """

    id: str | None = None
    seed: int = 0
    shuffle: str = "auto"
    spill_dir: str | None = None
    max_dead_letters: float = 0.01
    incremental: bool = False
    on_changed: str = "error"
    min_age: str = "0s"
    isolate: bool = False

    def __post_init__(self) -> None:
        """Refuses what cannot be a run's name, a share or a shuffle."""
        if self.id is not None and not RUN_ID.fullmatch(self.id):
            raise ConfigError(
                f"run.id: {self.id[:300]!r} cannot name a folder; use letters, digits, dot, dash, underscore, "
                "200 of them at the most, and no name that ends as manifest.json does"
            )
        one_of(self.shuffle, SHUFFLES, "run.shuffle")
        at_least(self.seed, 0, "run.seed")
        if not 0 <= self.max_dead_letters <= 1:
            raise ConfigError(f"run.max_dead_letters: {self.max_dead_letters} is no fraction; write 0 to 1")
        one_of(self.on_changed, ON_CHANGED, "run.on_changed")
        parse_age(self.min_age, "run.min_age")

    @property
    def shuffles(self) -> bool:
        """Whether rows of different units of work come together in shards."""
        return self.shuffle != "none"
