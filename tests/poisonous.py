"""An engine that texts can kill, and a way to have it in every process of a job."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from transforms.arrays.engines import ENGINES
from transforms.arrays.plain import TokenizersEngine

SIGNALS = {"kill!": signal.SIGKILL, "abort!": signal.SIGABRT, "segfault!": signal.SIGSEGV}

ROOT = Path(__file__).parents[1]


class PoisonousEngine(TokenizersEngine):
    """`tokenizers`, but its process dies of some words, as of a defect in native code."""

    name = "poisonous"

    def encode(self, texts: Any) -> Any:
        """Encodes texts, or dies."""
        for word in " ".join(texts.to_pylist()).split():
            if word in SIGNALS:
                os.kill(os.getpid(), SIGNALS[word])
            if word == "panic!":
                raise ValueError("told to")
        return super().encode(texts)


def environment(folder: Path) -> dict[str, str]:
    """Makes an environment in which every Python has the engine from the start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text("import tests.poisonous\n\ntests.poisonous.register()\n")
    return {name: value for name, value in os.environ.items() if name != "OBLONG_DEBUG"} | {
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"
    }


def register() -> None:
    """Adds the engine to those that there are."""
    ENGINES[PoisonousEngine.name] = PoisonousEngine
