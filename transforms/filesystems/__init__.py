"""File systems: one class each, and the dict that says which addresses are whose."""

from __future__ import annotations

import threading
from typing import Any

from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from transforms.arrays.errors import ConfigError, suggest
from transforms.filesystems.beams import Beams
from transforms.filesystems.gcs import Gcs
from transforms.filesystems.hdfs import Hdfs
from transforms.filesystems.local import Local
from transforms.filesystems.s3 import S3
from transforms.filesystems.store import Store


def use_options(options: Any) -> None:
    """Gives all file systems Beam's options; workers do so by themselves when they start.

    Args:
        options: A `PipelineOptions`.
    """
    FileSystems.set_options(options)


def scheme_of(path: str) -> str | None:
    """The scheme of an address; None for a path on this machine's disks.

    >>> scheme_of("gs://bucket/a")
    'gs'
    """
    scheme: str | None = FileSystems.get_scheme(path)
    return scheme


def store_of(path: str) -> Store:
    """Finds the file system of a path.

    Args:
        path: A path or an address.

    Returns:
        The file system, the same one in each thread until the options change: clients are dear to make, and not
        all can be shared by threads.

    Raises:
        ConfigError: There is none, or it cannot be used as things are; the message begins with the path.
    """
    scheme = scheme_of(path)
    if scheme is None:
        return LOCAL
    if scheme == "file":
        raise ConfigError(f"{path} is on this machine's disk: write the path without file://")
    kind = STORES.get(scheme) or (Beams if scheme in _schemes_of_beam() else None)
    if kind is None:
        known = [f"{name}://" for name in STORES]
        raise ConfigError(f"{path} is on no file system that is known: {suggest(f'{scheme}://', known)}")
    if FileSystems._pipeline_options is None:
        use_options(PipelineOptions([]))  # Beam's own default reads the command line of whatever program this is
    options = FileSystems._pipeline_options
    made: dict[str, tuple[Any, Store]] = vars(_made)
    if scheme not in made or made[scheme][0] is not options:
        made[scheme] = (options, _make(kind, options, path))
    return made[scheme][1]


def _schemes_of_beam() -> set[str | None]:
    return {system.scheme() for system in FileSystem.get_all_subclasses()}


def _make(kind: type[Store], options: Any, path: str) -> Store:
    try:
        return kind(options)
    except ImportError as error:
        raise ConfigError(f"{path} needs the extra {kind.extra}: pip install 'oblong[{kind.extra}]'") from error
    except ConfigError as error:
        raise ConfigError(f"{path} {error}") from None


_made = threading.local()

LOCAL = Local()

# By scheme; a path without one is local, and what Beam alone knows is for reading.
STORES: dict[str, type[Store]] = {"gs": Gcs, "s3": S3, "hdfs": Hdfs}
