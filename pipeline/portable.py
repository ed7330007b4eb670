"""Portable runners: where their workers run, checked before Beam acts on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from transforms.arrays.errors import ConfigError, one_of

if TYPE_CHECKING:
    import argparse

ENVIRONMENTS = ("DOCKER", "PROCESS", "EXTERNAL", "LOOPBACK")

# That other runners take and make nothing of.
OPTIONS = ("job_endpoint", "artifact_endpoint", "environment_type", "environment_config", "environment_options")


def check_environment(named: argparse.Namespace) -> None:
    """Checks where workers are to run.

    Args:
        named: Beam's options by name.

    Raises:
        ConfigError: There is no such environment, or processes have no command.
    """
    kind = named.environment_type
    if kind is None or kind.startswith("beam:env:"):
        return
    one_of(kind, ENVIRONMENTS, "--environment_type")
    if kind == "PROCESS" and not _command(named):
        raise ConfigError(
            '--environment_config: PROCESS needs a command that starts a worker; write {"command": "/path/to/boot"}'
        )


def environment_option(options: list[str] | None, name: str) -> str | None:
    """Finds an item of `environment_options`.

    >>> environment_option(["a=b", "c=d=e"], "c")
    'd=e'
    """
    return dict(item.partition("=")[::2] for item in options or ()).get(name)


def _command(named: argparse.Namespace) -> str | None:
    if not named.environment_config:
        return environment_option(named.environment_options, "process_command")
    try:
        command: str | None = json.loads(named.environment_config).get("command")
    except (ValueError, AttributeError):
        raise ConfigError(f"--environment_config: {named.environment_config!r} is no JSON object") from None
    return command
