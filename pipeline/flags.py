"""Flags: the section `beam` spelled out, and Beam's options read strictly."""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser, _CommaSeparatedListAction

from pipeline.runners import RUNNERS
from transforms.arrays.errors import ConfigError, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Options that Beam takes as text and reads as JSON later.
JSON_TEXT = ("environment_config", "gcs_custom_audit_entries")

ENGINE_OPTIONS = frozenset(option for runner in RUNNERS.values() for option in runner.engine_options)

# Of `oblong run` itself, so that a slip of the pen finds them too.
OWN_OPTIONS = ("--config", "--set", "--input", "--output", "--tokenizer", "--run_id", "--force", "--no_wait", "--json")


class EngineOptions(PipelineOptions):
    """Options that engines know and Beam in Python does not, so that it takes them and hands them on."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        for name, runner in RUNNERS.items():
            for option in runner.engine_options:
                parser.add_argument(f"--{option}", help=f"of {name}'s engine")


def flags_of(section: Mapping[str, Any]) -> list[str]:
    """Spells the section `beam` out as flags.

    Args:
        section: Options by name. Where Beam has a switch, `false` is the switch to the other side; a mapping is
            `k=v` for each of its items where the option can be repeated, and JSON where it is read as JSON.

    Returns:
        Flags, to be put in front of the command line's, which then win.

    Raises:
        ConfigError: Beam cannot be told what an option says.

    >>> flags_of({"direct_num_workers": 2, "use_public_ips": False, "labels": {"a": "b"}})
    ['--direct_num_workers=2', '--no_use_public_ips', '--labels=a=b']
    """
    actions = make_parser("beam.")._actions
    flags = []
    for name, value in section.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                flags += _spell(name, one, actions)
    return flags


def _spell(name: str, value: Any, actions: Sequence[argparse.Action]) -> list[str]:
    action = next((action for action in actions if f"--{name}" in action.option_strings), None)
    switches = [one for one in actions if one.nargs == 0 and one.dest == (action.dest if action else name)]
    if isinstance(value, bool) and switches:
        return _turn(name, value == (action is None or action.const), switches)
    if value is False and action is not None and action.type is None and name not in ENGINE_OPTIONS:
        if action.default is False:  # to be left alone: any text at all would be true to Beam
            return []
        raise ConfigError(f"beam.{name}: false is none of its values; leave it out")
    if isinstance(value, dict) and isinstance(action, argparse._AppendAction | _CommaSeparatedListAction):
        return [f"--{name}={key}={_text(one)}" for key, one in value.items()]
    if isinstance(value, dict) and action is not None:
        if action.type in (None, str, int, float) and name not in JSON_TEXT:
            raise ConfigError(f"beam.{name}: a mapping is none of its values; write one value")
        return [f"--{name}={json.dumps(value)}"]
    return [f"--{name}={_text(value)}"]


def _turn(name: str, wanted: bool, switches: Sequence[argparse.Action]) -> list[str]:
    """Finds the switch that gives an option the value that is wanted; none where it has that value by itself."""
    for switch in switches:
        if switch.const is wanted:
            return [switch.option_strings[0]]
    if bool(switches[0].default) is not wanted:
        raise ConfigError(f"beam.{name}: Beam has no switch for this value; leave it out")
    return []


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Parser(_BeamArgumentParser):
    """Beam's parser, saying what is wrong instead of leaving the program."""

    prefix = "--"

    def error(self, message: str) -> None:
        match = re.match(r"argument --([\w/-]+): (.*)", message)
        raise ConfigError(f"{self.prefix}{match[1]}: {match[2]}" if match else f"Beam options: {message}")


def unknown_options(flags: Sequence[str]) -> list[str]:
    """Finds the options that Beam does not know, in the order given.

    >>> unknown_options(["--project=p", "--no_such_option=1", "--streaming"])
    ['--no_such_option=1']
    """
    unknown: list[str] = make_parser("--").parse_known_args(list(flags))[1]
    return unknown


def make_parser(prefix: str) -> _Parser:
    """Makes a parser with every option that Beam has."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    parser.prefix = prefix
    for options in PipelineOptions.__subclasses__():
        if hasattr(options, "_add_argparse_args"):
            options._add_argparse_args(parser)
    return parser


def parse(flags: Iterable[str], prefix: str = "--", own: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses with every option that Beam has.

    Args:
        flags: The flags.
        prefix: What stands before an option's name in messages.
        own: Options of the command itself, to be suggested too; None for those of `oblong run`.

    Returns:
        All of Beam's options by name.

    Raises:
        ConfigError: An option does not exist or has a wrong value.
    """
    parser = make_parser(prefix)
    named, unknown = parser.parse_known_args(list(flags))
    for flag in unknown:
        known = [option for action in parser._actions for option in action.option_strings]
        name = flag.partition("=")[0]
        if not name.startswith("--"):
            raise ConfigError(f"{flag}: not understood; options are written --name=value")
        if prefix == "--":
            known += OWN_OPTIONS if own is None else own
        raise ConfigError(
            f"{prefix}{name.removeprefix('--')}: there is no such option; {_closest(name, known, prefix)}"
        )
    return argparse.Namespace(**vars(named))


def destinations(flags: Iterable[str]) -> set[str]:
    """Names the options that flags decide, whichever of an option's spellings or switches they use.

    >>> destinations(["--no_save_main_session", "--label=a=b"]) == {"save_main_session", "labels"}
    True
    """
    names = {flag.partition("=")[0] for flag in flags}
    return {action.dest for action in make_parser("--")._actions if names & set(action.option_strings)}


def _closest(name: str, known: list[str], prefix: str) -> str:
    hint = suggest(name, known)
    if hint.startswith("did"):
        return hint.replace(" --", f" {prefix}", 1)
    return "see --help, and Beam's own options" if prefix == "--" else "see Beam's own options"
