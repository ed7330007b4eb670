"""Reading a run back: shards, whatever their format, as columns, and dead letters by reason."""

from __future__ import annotations

import zlib
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import pyarrow as pa

from transforms.arrays.errors import JobError, OblongError
from transforms.arrays.formats import FORMATS, TYPES
from transforms.files import is_local, open_binary
from transforms.small_files import require_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.manifest import Manifest

CHUNK = 4 << 20  # of dead letters at once

LONGEST_LETTER = 64 << 20  # far above the content that one keeps

# What readers raise at bytes that are not what they should be.
UNREADABLE = (
    pa.ArrowException,
    zlib.error,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


def place_of(run_folder: str, path: str) -> str:
    """Says where a file is that a manifest names; a link must not lead out of the run, nor to a pipe.

    Args:
        run_folder: The run's folder.
        path: Relative to it, as the manifest has it.

    Returns:
        The place.

    Raises:
        JobError: On this machine's disk it is a link to somewhere else, or no file.
    """
    place = f"{run_folder}/{path}"
    if is_local(place) and not Path(place).resolve().is_relative_to(Path(run_folder).resolve()):
        raise JobError(f"{path}: is a link that leads out of the run; it was not read")
    require_file(place)
    return place


def read_batches(
    run_folder: str, file: dict[str, Any], manifest: Manifest, stream: BinaryIO | None = None
) -> Iterator[Any]:
    """Reads a file that a manifest names; at most a row group, or some MB, of it are held.

    Args:
        run_folder: The run's folder.
        file: What the manifest says of it.
        manifest: For the schema.
        stream: The file, where it is open already.

    Yields:
        RecordBatches with the manifest's columns.

    Raises:
        JobError: The file is damaged.
    """
    name = file["path"]
    try:
        if file["format"] not in FORMATS:
            raise JobError(f"{name}: cannot be read: no format {file['format']!r} is known here")
        place = place_of(run_folder, name)
        with open_binary(place) if stream is None else nullcontext(stream) as opened:
            yield from FORMATS[file["format"]].read(opened, place, schema_of_manifest(manifest))
    except OblongError:
        raise
    except UNREADABLE as error:
        raise JobError(f"{name}: cannot be read: {told(error)}") from error


def told(error: BaseException) -> str:
    """What an error says, or in words what it is where it says nothing.

    >>> told(EOFError()), told(ValueError("no number"))
    ('its content is damaged', 'no number')
    """
    return str(error) if str(error) and not isinstance(error, LookupError) else "its content is damaged"


def schema_of_manifest(manifest: Manifest) -> Any:
    """The Arrow schema of a run's shards."""
    return pa.schema([pa.field(column["name"], TYPES[column["type"]]) for column in manifest["schema"]])


class _Letter(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a file of dead letters."""

    reason: str
    message: str
    file: str
    position: int
    raw: str | None = None
    raw_base64: str | None = None
    raw_truncated: bool = False

    def __post_init__(self) -> None:
        if (self.raw is None) == (self.raw_base64 is None):
            raise ValueError("it has to have one of raw and raw_base64")


def count_letters(stream: BinaryIO, name: str) -> dict[str, int]:
    """Counts the dead letters of a file by reason; some MB of it are held.

    Args:
        stream: The file.
        name: What to call it in messages.

    Returns:
        Numbers by reason.

    Raises:
        JobError: It holds something else.
    """
    decoder, counts, held = msgspec.json.Decoder(_Letter), Counter[str](), b""
    while piece := stream.read(CHUNK):
        held += piece
        whole = held.rfind(b"\n") + 1
        if len(held) - whole > LONGEST_LETTER:
            raise JobError(f"{name}: holds a line of more than {LONGEST_LETTER:,} bytes")
        counts.update(letter.reason for letter in _letters(decoder, held[:whole], name))
        held = held[whole:]
    if held:
        raise JobError(f"{name}: its last line does not end")
    return dict(counts)


def _letters(decoder: msgspec.json.Decoder[_Letter], lines: bytes, name: str) -> list[_Letter]:
    try:
        return decoder.decode_lines(lines)
    except (ValueError, RecursionError) as error:
        raise JobError(f"{name}: holds a line that is no dead letter: {error}") from None
