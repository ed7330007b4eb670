"""What a user runs: configuration, the graph, the command line, and what a run leaves behind.

Names are loaded when they are asked for, so that the command line answers before Beam is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config import Config, load_config
    from pipeline.data_set import read_data_set
    from pipeline.graph import build
    from pipeline.launch import run

HOMES = {
    "Config": "pipeline.config",
    "build": "pipeline.graph",
    "load_config": "pipeline.config",
    "read_data_set": "pipeline.data_set",
    "run": "pipeline.launch",
}

__all__ = ["Config", "build", "load_config", "read_data_set", "run"]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
