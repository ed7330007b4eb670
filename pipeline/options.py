"""Beam's options: checked strictly, and filled in with what the runner needs."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions, TestOptions

from pipeline.flags import destinations, flags_of, parse
from pipeline.portable import OPTIONS, environment_option
from pipeline.runners import REFUSED, RUNNERS, Runner
from pipeline.workers import cores_here
from transforms.arrays.errors import ConfigError, suggest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

SECRETS = ("s3_access_key_id", "s3_secret_access_key", "s3_session_token", "azure_connection_string")


class Checked(NamedTuple):
    """Beam's options, checked.

    Attributes:
        name: Of the runner.
        options: With what the runner needs added.
        runner: What is known of it.
        given: Names of the options that the user gave.
        chosen: The options that were added.
        shared_disk: Whether all workers see the launcher's disk.
        staged: Whether workers start from Beam's own image and install what the job takes along: the base package.
    """

    name: str
    options: PipelineOptions
    runner: Runner
    given: frozenset[str]
    chosen: tuple[str, ...]
    shared_disk: bool
    staged: bool

    @property
    def waits(self) -> bool:
        """Whether the job needs the launcher until its end: for its workers, or for the engine itself."""
        endpoint = self.options.get_all_options().get("job_endpoint")
        return not self.runner.in_cloud and (self.shared_disk or endpoint in (None, "embed"))


def check_options(section: Mapping[str, Any], flags: Sequence[str] = ()) -> Checked:
    """Checks Beam's options and adds what the runner needs.

    Args:
        section: The section `beam`.
        flags: From the command line; they win.

    Returns:
        The options, what is known of their runner, and which the user gave.

    Raises:
        ConfigError: An option does not exist, has a wrong value or is missing, or the runner cannot be used.
    """
    parse(flags_of(section), "beam.")
    every = [*flags_of(section), *flags]
    named = parse(every)
    name = named.runner or "DirectRunner"
    if name in REFUSED:
        raise ConfigError(f"--runner: {name} cannot be used: {REFUSED[name]}")
    if name not in RUNNERS:
        raise ConfigError(f"--runner: {name!r} is not known; {suggest(name, RUNNERS)}")
    runner = RUNNERS[name]
    given = frozenset(_name(flag) for flag in every if flag.startswith("--"))
    decided = destinations(every)
    named.dry_run = _truth(named.dry_run, "--dry_run")
    _check_values(named, name)
    loopback = runner.portable and (named.environment_type or _environment(named)) == "LOOPBACK"
    staged = not loopback and name != "DirectRunner" and _starts_from_beams_image(named)
    defaults = [*runner.defaults, *(("--environment_type=LOOPBACK", *runner.loopback) if loopback else ())]
    filled = [Template(flag).safe_substitute(cores=cores_here()) for flag in defaults]
    if staged and not (named.setup_file or named.extra_packages or named.requirements_file):
        filled.append(f"--setup_file={_own_setup_file()}")
    chosen = tuple(flag for flag in filled if not destinations([flag]) & decided)
    options = PipelineOptions([f"--runner={name}", *chosen, *every, *_absolute(named)])
    options.view_as(TestOptions).dry_run = named.dry_run
    return Checked(name, options, runner, given, chosen, loopback or name == "DirectRunner", staged)


def parse_options(flags: Sequence[str]) -> PipelineOptions:
    """Checks options of commands that run no job: those of file systems are of use there.

    Args:
        flags: From the command line.

    Returns:
        Beam's options.

    Raises:
        ConfigError: An option does not exist or has a wrong value.
    """
    parse(flags, own=())
    return PipelineOptions(list(flags))


def _truth(said: str | bool, flag: str) -> bool:
    """Reads a truth value that Beam takes as text, of which to it any is true."""
    if str(said).lower() not in ("true", "false"):
        raise ConfigError(f"{flag}: {said!r} is no truth value; write {flag}=true or {flag}=false")
    return str(said).lower() == "true"


def _check_values(named: argparse.Namespace, name: str) -> None:
    """Refuses what Beam takes and then makes nothing good of."""
    for secret in SECRETS:
        if getattr(named, secret, None):
            raise ConfigError(
                f"--{secret}: options end up in the job's description and in logs; give secrets in the environment"
            )
    for other, runner in RUNNERS.items():
        for option in runner.engine_options if other != name else ():
            if getattr(named, option) is not None:
                raise ConfigError(f"--{option}: {name} has no such option; {other} has")
    for option in () if RUNNERS[name].portable else OPTIONS:
        if getattr(named, option) is not None:
            portable = ", ".join(other for other, runner in RUNNERS.items() if runner.portable)
            raise ConfigError(f"--{option}: {name} makes nothing of it; name the --runner it is for: {portable}")
    for need in RUNNERS[name].needs:
        if not getattr(named, _name(need)):
            raise ConfigError(f"--{_name(need)}: {name} cannot do without it; write e.g. {need}")
    if named.direct_num_workers < 0:
        raise ConfigError(f"--direct_num_workers: {named.direct_num_workers} is too small; write 0 for every core")
    if named.streaming:
        raise ConfigError("--streaming: a job reads a corpus to its end and cannot be a stream; leave it out")
    if named.dry_run and not RUNNERS[name].in_cloud:
        raise ConfigError(f"--dry_run: {name} has none; DataflowRunner has")
    if named.setup_file and not Path(named.setup_file).is_file():
        raise ConfigError(f"--setup_file: there is no file {named.setup_file}")
    check = RUNNERS[name].check
    if check is not None:
        check(named)


def _environment(named: argparse.Namespace) -> str | None:
    """Workers run in the launcher unless something puts the engine on another machine, out of their reach."""
    endpoint = named.job_endpoint or "embed"
    masters = (named.flink_master in ("[local]", "[auto]"), named.spark_master_url.startswith("local"))
    is_here = endpoint.partition(":")[0] in ("embed", "localhost", "127.0.0.1") and all(masters)
    return "LOOPBACK" if is_here else None


def _starts_from_beams_image(named: argparse.Namespace) -> bool:
    """Workers that start from an image of the user's, or that wait somewhere, have in them what they need."""
    if named.environment_type == "DOCKER":
        image = environment_option(named.environment_options, "docker_container_image")
        return not (image or named.environment_config or named.sdk_container_image)
    return named.environment_type is None and not named.sdk_container_image


def _own_setup_file() -> Path:
    """Finds what workers install Oblong from."""
    own = Path(__file__).parents[1] / "setup.py"
    if not (own.is_file() and own.with_name("pyproject.toml").is_file()):
        raise ConfigError(
            "--sdk_container_image: workers would have no oblong, since this one runs from no folder of sources; name "
            "an image that has it, or --setup_file in a copy of the sources"
        )
    return own


def _absolute(named: argparse.Namespace) -> list[str]:
    """Beam builds the package in a folder of its own, where a relative path leads nowhere."""
    return [f"--setup_file={Path(named.setup_file).absolute()}"] if named.setup_file else []


def _name(flag: str) -> str:
    return flag.partition("=")[0].removeprefix("--")
