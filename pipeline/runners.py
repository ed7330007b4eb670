"""Runners: what Oblong knows of each engine, as data, and Beam's options checked strictly."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

from transforms.arrays.errors import ConfigError, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Runner(NamedTuple):
    """An engine that jobs run on.

    Attributes:
        defaults: Options it gets unless the user names them.
        local: Whether launcher and workers share a disk, so that workers can say how far they are.
    """

    defaults: tuple[str, ...]
    local: bool


RUNNERS: dict[str, Runner] = {
    "DirectRunner": Runner(
        (
            # Without this Beam first downloads a Go binary and runs on that.
            "--prism_location=disabled",
            # Worker processes tell their life's story at INFO; what fails in them the launcher tells.
            "--default_sdk_harness_log_level=ERROR",
            "--sdk_harness_log_level_overrides="
            '{"apache_beam.runners.common": "CRITICAL", "apache_beam.runners.worker.sdk_worker": "CRITICAL"}',
        ),
        local=True,
    ),
}

REFUSED = {
    "DaskRunner": "it loses data silently: of two sinks only the last runs",
    "FnApiRunner": "its worker processes lose the pipeline's options; DirectRunner is the same engine without that",
    "PrismRunner": "it is not available yet",
    "PortableRunner": "it is not available yet",
    "FlinkRunner": "it is not available yet",
    "SparkRunner": "it is not available yet",
    "DataflowRunner": "it is not available yet",
}


def flags_of(section: Mapping[str, Any]) -> list[str]:
    """Spells the section `beam` out as flags.

    Args:
        section: Options by name.

    Returns:
        Flags, to be put in front of the command line's, which then win.

    >>> flags_of({"direct_num_workers": 2, "streaming": False, "experiments": ["a", "b"]})
    ['--direct_num_workers=2', '--experiments=a', '--experiments=b']
    """
    flags = []
    for name, value in section.items():
        values = value if isinstance(value, list) else [value]
        for one in values:
            if one is True:
                flags.append(f"--{name}")
            elif one is not None and one is not False:
                flags.append(f"--{name}={one}")
    return flags


class Checked(NamedTuple):
    """Beam's options, checked.

    Attributes:
        options: With what the runner needs added.
        runner: What is known of their runner.
        given: Names of the options that the user gave.
    """

    options: PipelineOptions
    runner: Runner
    given: frozenset[str]


def check_options(section: Mapping[str, Any], flags: Sequence[str] = ()) -> Checked:
    """Checks Beam's options and adds what the runner needs.

    Args:
        section: The section `beam`.
        flags: From the command line; they win.

    Returns:
        The options, what is known of their runner, and which the user gave.

    Raises:
        ConfigError: An option does not exist or has a wrong value, or the runner cannot be used.
    """
    _parse(flags_of(section), "beam.")
    every = [*flags_of(section), *flags]
    named = _parse(every)
    name = named.runner or "DirectRunner"
    if name in REFUSED:
        raise ConfigError(f"--runner: {name} cannot be used: {REFUSED[name]}")
    if name not in RUNNERS:
        raise ConfigError(f"--runner: {name!r} is not known; {suggest(name, RUNNERS)}")
    if named.direct_num_workers < 0:
        raise ConfigError(f"--direct_num_workers: {named.direct_num_workers} is too small; write 0 for every core")
    given = frozenset(flag.partition("=")[0].removeprefix("--") for flag in every if flag.startswith("--"))
    defaults = [flag for flag in RUNNERS[name].defaults if flag.partition("=")[0].removeprefix("--") not in given]
    return Checked(PipelineOptions([f"--runner={name}", *defaults, *every]), RUNNERS[name], given)


class _Parser(_BeamArgumentParser):
    """Beam's parser, saying what is wrong instead of leaving the program."""

    prefix = "--"

    def error(self, message: str) -> None:
        match = re.match(r"argument --([\w/-]+): (.*)", message)
        raise ConfigError(f"{self.prefix}{match[1]}: {match[2]}" if match else f"Beam options: {message}")


def _parse(flags: Iterable[str], prefix: str = "--") -> argparse.Namespace:
    """Parses with every option that Beam has; one that none of them knows is refused."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    parser.prefix = prefix
    for options in PipelineOptions.__subclasses__():
        if hasattr(options, "_add_argparse_args"):
            options._add_argparse_args(parser)
    named, unknown = parser.parse_known_args(list(flags))
    for flag in unknown:
        known = [option for action in parser._actions for option in action.option_strings]
        name = flag.partition("=")[0]
        if not name.startswith("--"):
            raise ConfigError(f"{flag}: not understood; options are written --name=value")
        where = prefix + name.removeprefix("--")
        if prefix == "--":
            known += OWN_OPTIONS
        raise ConfigError(f"{where}: there is no such option; {_closest(name, known).replace('--', prefix)}")
    return argparse.Namespace(**vars(named))


def _closest(name: str, known: list[str]) -> str:
    hint = suggest(name, known)
    return hint if hint.startswith("did") else "see oblong run --help, and Beam's own options"


# Of `oblong run` itself, so that a slip of the pen finds them too.
OWN_OPTIONS = ("--config", "--set", "--input", "--output", "--tokenizer", "--run_id", "--force", "--json")
