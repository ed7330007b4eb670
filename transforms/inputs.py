"""The inputs of a job: matched, frozen into a list, and divided into units of work."""

from __future__ import annotations

import os
import posixpath
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from transforms.arrays.errors import ConfigError, JobError
from transforms.arrays.readers import DAMAGED, READERS, Format, Reading, Search, Source, detect, sample
from transforms.arrays.readers.parquet import open_parquet
from transforms.files import is_local, match, open_binary
from transforms.filesystems.store import GLOB, Found, fixed_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class InputFile(NamedTuple):
    """A file of the inputs.

    Attributes:
        path: Where it is.
        file: Its path relative to the root: how rows know it.
        bytes: Its size.
        changed: When it was last changed, seconds since 1970.
        checksum: Of its content, where the file system keeps one; else None.
    """

    path: str
    file: str
    bytes: int
    changed: float
    checksum: str | None = None


class Split(NamedTuple):
    """A unit of work: stretches of one or more files of one format.

    Attributes:
        sources: The stretches.
        format: How they are read.
        bytes: Bytes on disk that it stands for, for the progress line.
    """

    sources: tuple[Source, ...]
    format: Format
    bytes: int


@dataclass(frozen=True)
class Corpus:
    """The inputs of a job.

    Attributes:
        files: In the order of their relative paths.
        kept: Names and Arrow types of the kept columns.
    """

    files: tuple[InputFile, ...]
    kept: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(file.bytes for file in self.files)


def find_corpus(reading: Reading) -> Corpus:
    """Freezes the inputs.

    Args:
        reading: The section `read`.

    Returns:
        The files that the patterns match now, each once, and the types of the kept columns.

    Raises:
        ConfigError: A pattern matches nothing, a column is not there, or a type cannot be told.
        JobError: A file system does not answer.
    """
    files = find_inputs(reading)
    return Corpus(files, kept_types(reading, files))


def find_inputs(reading: Reading, *, may_be_none: bool = False) -> tuple[InputFile, ...]:
    """Lists the inputs; nothing of them is read.

    Args:
        reading: The section `read`.
        may_be_none: Whether a pattern may match nothing, where its folder is there.

    Returns:
        The files that the patterns match now, each once, in the order of their relative paths.

    Raises:
        ConfigError: A pattern matches nothing, or a file is not below the root or has no name that is UTF-8.
    """
    require_patterns(reading)
    found: list[Found] = []
    for pattern in reading.patterns:
        matched = match(pattern, "read.files")
        if not matched and not (may_be_none and _has_folder(pattern)):
            raise ConfigError(f"read.files: {pattern!r} matches no file{_folder_hint(pattern)}")
        found += matched
    root = _common_folder(reading.patterns) if reading.root is None else _parts(reading.root)
    # A file that two patterns match, however they spell its path, has one name below the root.
    named = {_relative(file.path, root): file for file in reversed(found)}
    return tuple(InputFile(f.path, name, f.bytes, f.changed, f.checksum) for name, f in sorted(named.items()))


def require_patterns(reading: Reading) -> None:
    """Checks that there is something to look for, before anything else is looked at.

    Raises:
        ConfigError: There is no pattern.
    """
    if not reading.patterns:
        raise ConfigError("read.files: nothing to read; give a pattern, e.g. --input 'corpus/*.jsonl'")


def _has_folder(pattern: str) -> bool:
    """Whether there is the folder that a pattern looks into; where folders are names alone there always is."""
    return not is_local(pattern) or os.path.isdir(posixpath.dirname(fixed_part(pattern)) or ".")  # noqa: PTH112


def _folder_hint(pattern: str) -> str:
    inside = posixpath.join(pattern, "*")
    if not GLOB & set(pattern) and is_local(pattern) and match(inside, "read.files"):
        return f"; it is a folder: write {inside!r}"
    if is_local(pattern) and os.path.exists(pattern) and not os.path.isdir(pattern):  # noqa: PTH110, PTH112 - as given
        return "; it is a pipe or a device, and only files can be read"
    return ""


def _parts(path: str) -> list[str]:
    """A path's folders and name; those of a local path from the root of the disk on."""
    return (os.path.abspath(path) if is_local(path) else path).rstrip("/").split("/")  # noqa: PTH100 - links stay


def _common_folder(patterns: tuple[str, ...]) -> list[str]:
    """The deepest folder that holds the fixed parts of all patterns, in parts."""
    fixed = [_parts(posixpath.dirname(fixed_part(pattern))) for pattern in patterns]
    return list(posixpath.commonprefix(fixed))


def _relative(path: str, root: list[str]) -> str:
    parts = _parts(path)
    if parts[: len(root)] != root:
        raise ConfigError(f"read.root: {path} is not below {'/'.join(root) or '/'}")
    name = "/".join(parts[len(root) :])
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"read.files: the name of {path!r} is not UTF-8; rename it") from None
    return name


def kept_types(reading: Reading, files: Sequence[InputFile]) -> dict[str, Any]:
    """Looks into as many files as it takes to find every column: most often one.

    Args:
        reading: The section `read`.
        files: Where to look, in this order.

    Returns:
        Names and Arrow types of the kept columns.

    Raises:
        ConfigError: A file cannot be read, none has a column, or a type cannot be told.
    """
    search = Search(reading)
    for file in files:
        if file.bytes:
            with _planning(file.path), open_binary(file.path) as stream:
                found = sample(stream, file.path, reading, search.said)
            if found is not None:
                search.take(found)
                if search.is_over:
                    break
    return search.kept()


@contextmanager
def _planning(path: str) -> Iterator[None]:
    """Makes what is wrong with a file a mistake of the user's, as all is that shows before the job starts.

    What a file system that is out of order says is none.
    """
    try:
        yield
    except DAMAGED as error:
        raise ConfigError(f"read.files: {path} cannot be read: {error}") from error
    except JobError as error:
        if error.passing:
            raise
        raise ConfigError(str(error)) from error


def divide(corpus: Corpus, reading: Reading) -> list[Split]:
    """Divides the inputs into units of work of about `split_bytes` each.

    Large files are divided where their format allows it, small ones packed together.

    Args:
        corpus: The inputs.
        reading: The section `read`.

    Returns:
        The units; each byte of the inputs belongs to one.
    """
    splits: list[Split] = []
    packed: dict[Format, list[tuple[Source, int]]] = {}
    filled: dict[Format, int] = {}
    for file in corpus.files:
        if not file.bytes:
            continue
        how = detect(file.path, reading.format)
        for source, size in _stretches(file, how, reading.split_bytes):
            if how in packed and filled[how] + size > reading.split_bytes:
                splits.append(_split(packed.pop(how), how))
            if how not in packed:
                packed[how], filled[how] = [], 0
            packed[how].append((source, size))
            filled[how] += size
    return splits + [_split(pack, how) for how, pack in packed.items()]


def _split(pack: list[tuple[Source, int]], how: Format) -> Split:
    return Split(tuple(source for source, _ in pack), how, sum(size for _, size in pack))


def _stretches(file: InputFile, how: Format, split_bytes: int) -> Iterator[tuple[Source, int]]:
    """Cuts a file into stretches of about `split_bytes`, with the bytes of each."""
    unit = READERS[how.reader].unit if how.codec is None else None
    if file.bytes <= split_bytes or unit is None:
        yield Source(file.path, file.file), file.bytes
    elif unit == "bytes":
        size = -(-file.bytes // -(-file.bytes // split_bytes))  # all of a size, so that no worker gets crumbs
        for start in range(0, file.bytes, size):
            stop = min(start + size, file.bytes)
            yield Source(file.path, file.file, start, None if stop == file.bytes else stop), stop - start
    else:
        yield from _row_group_stretches(file, split_bytes)


def _row_group_stretches(file: InputFile, split_bytes: int) -> Iterator[tuple[Source, int]]:
    with _planning(file.path), open_binary(file.path) as stream:
        metadata = open_parquet(stream, file.path).metadata
        sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    # Sizes inside are uncompressed; stretches are measured by their share of the file.
    scale = file.bytes / max(sum(sizes), 1)
    start, size = 0, 0.0
    for i, group in enumerate(sizes):
        if size and size + group * scale > split_bytes:
            yield Source(file.path, file.file, start, i), int(size)
            start, size = i, 0.0
        size += group * scale
    yield Source(file.path, file.file, start, len(sizes)), int(size)
