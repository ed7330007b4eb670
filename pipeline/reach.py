"""Engines: whether they can be reached from here, and whether their workers are of the launcher's kind."""

from __future__ import annotations

import platform
import re
import shutil
import socket
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dataflow import ask_service
from pipeline.portable import environment_option
from transforms.arrays.errors import ConfigError, JobError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.options import Checked

SECONDS = 10  # that an engine has to answer


MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!", b"MZ")  # that programs begin with


class Untold(str):
    """A detail that says why something could not be told: neither good nor wrong."""

    __slots__ = ()


def image_of(checked: Checked) -> tuple[str, str] | None:
    """The option that names the image that workers start from, and the image; None where the user names none."""
    options = checked.options.get_all_options()
    named = [("sdk_container_image", options["sdk_container_image"])]
    if options["environment_type"] == "DOCKER":
        own = environment_option(options["environment_options"], "docker_container_image")
        named += [("environment_options", own), ("environment_config", options["environment_config"])]
    return next(((f"--{option}", image) for option, image in named if image), None)


def check_image(checked: Checked) -> str:
    """Compares the Beam and the Python that the image's name tells of with those of the launcher."""
    option, image = image_of(checked) or ("", "")
    version = metadata.version("apache-beam")
    own = re.search(r"beam_python(\d+\.\d+)_sdk(?::([\w.-]+))?$", image)
    if own is None:
        return Untold(f"{image}: cannot be told; its name does not say its Beam, which must be {version} as here")
    python = ".".join(platform.python_version_tuple()[:2])
    if own[1] != python:
        raise ConfigError(f"{option}: {image} has Python {own[1]}, the launcher {python}; they must agree")
    if own[2] is None:
        raise ConfigError(f"{option}: {image} has no tag, which must be the launcher's Beam: write {image}:{version}")
    if own[2] != version:
        raise ConfigError(f"{option}: {image} has Beam {own[2]}, the launcher {version}; they must agree")
    return f"{image}: Beam {version} and Python {python}, as here"


def reach(checked: Checked) -> str:
    """Looks whether the engine answers, and workers outside do.

    Args:
        checked: Beam's options.

    Returns:
        What was found; Untold where nobody can be asked.

    Raises:
        ConfigError: Something is not there, or an address is none.
        JobError: Nothing answers.
    """
    found: str = REACH[checked.name](checked.options.get_all_options())
    return found


def _direct(options: dict[str, Any]) -> str:
    return "runs on this machine"


def _prism(options: dict[str, Any]) -> str:
    place = options["prism_location"]
    if place is None or "://" in place:
        return f"is downloaded from {place or 'where Beam publishes it'} when the job starts"
    if not Path(place).is_file():
        raise ConfigError(f"--prism_location: there is no file {place}")
    with Path(place).open("rb") as file:
        is_program = file.read(4).startswith(MAGIC) or zipfile.is_zipfile(place)
    if not is_program:
        raise ConfigError(f"--prism_location: {place} is no program; name Prism's own file, or leave the option out")
    return str(place)


def _portable(options: dict[str, Any]) -> str:
    """Looks for a job server, for the cluster behind one that Beam would start, and for workers outside."""
    said: list[str] = []
    if options["job_endpoint"] not in (None, "embed"):
        _connect(options["job_endpoint"], "--job_endpoint")
        said.append(f"job server at {options['job_endpoint']}")
    elif options["job_endpoint"] is None:
        own = _own_job_server(options)
        if isinstance(own, Untold):
            return own
        said.append(own)
    if options["environment_type"] == "EXTERNAL":
        _connect(options["environment_config"] or "", "--environment_config")
        said.append(f"workers at {options['environment_config']}")
    return ", ".join(said) or "runs within this process"


def _own_job_server(options: dict[str, Any]) -> str:
    if shutil.which("java") is None:
        raise ConfigError("java: the job server is a Java program; install Java, or give one that runs: --job_endpoint")
    master = {"FlinkRunner": "flink_master", "SparkRunner": "spark_master_url"}[options["runner"]]
    if options[master].startswith(("[", "local[")) or options[master] == "local":
        return "a job server is started on this machine"
    address = re.fullmatch(r"(?:\w+://)?([\w.-]+:\d+)/?", options[master])
    if address is None:
        return Untold(f"not looked at: --{master}: {options[master]} is no HOST:PORT to be asked")
    _connect(address[1], f"--{master}")
    return f"cluster at {options[master]}"


def _connect(address: str, option: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{option}: {address!r} is no HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS).close()
    except OSError as error:
        raise JobError(f"{option}: nothing answers at {address}: {error}") from error


REACH: dict[str, Callable[[dict[str, Any]], str]] = {
    "DirectRunner": _direct,
    "PrismRunner": _prism,
    "PortableRunner": _portable,
    "FlinkRunner": _portable,
    "SparkRunner": _portable,
    "DataflowRunner": ask_service,
}
