"""A corpus for all engines, and what DirectRunner makes of it in this machine's simplest way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.jobs import IN_ORDER, SHUFFLED, Left, run, write_world
from tests.engines.starting import DIRECT, Engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN = Engine("direct-in-memory", DIRECT["direct-in-memory"])


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus and its tokenizer."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def expected(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Left]:
    """What the job leaves behind in one process, shuffled in either way or in order; each made once."""
    made: dict[bool, Left] = {}

    def make(shuffle: str) -> Left:
        shuffles = shuffle != "none"
        if shuffles not in made:
            output = tmp_path_factory.mktemp("expected")
            settings: dict[str, Any] = SHUFFLED | {"run.shuffle": "files"} if shuffles else IN_ORDER
            made[shuffles] = run(world, output, settings, PLAIN)
        return made[shuffles]

    return make
