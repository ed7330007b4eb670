"""Readers: one function a format, all of them streams of bytes in and `Rows` out.

A new format is one function and one line in `READERS`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import zstandard

from transforms.arrays.errors import ConfigError
from transforms.arrays.readers.delimited import read_csv, read_tsv
from transforms.arrays.readers.jsonl import read_jsonl
from transforms.arrays.readers.parquet import read_parquet
from transforms.arrays.readers.rows import Columns, Reading, Rows, Source, columns_of
from transforms.arrays.readers.text import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CODECS", "READERS", "Columns", "Format", "Reader", "Reading", "Rows", "Source", "columns_of", "detect"]


class Reader(NamedTuple):
    """How a format is read.

    Attributes:
        read: Turns a stream into rows.
        suffixes: Of file names, for `read.format: auto`.
        unit: What the file is divided by where it is not compressed: "bytes", "row groups" or None.
    """

    read: Callable[[BinaryIO, Source, Columns], Iterator[Rows]]
    suffixes: tuple[str, ...]
    unit: str | None


READERS: dict[str, Reader] = {
    "text": Reader(read_text, (".txt", ".text"), "bytes"),
    "jsonl": Reader(read_jsonl, (".jsonl", ".ndjson", ".json"), "bytes"),
    "csv": Reader(read_csv, (".csv",), None),
    "tsv": Reader(read_tsv, (".tsv", ".tab"), None),
    "parquet": Reader(read_parquet, (".parquet", ".pq"), "row groups"),
}


def _open_zst(stream: BinaryIO) -> BinaryIO:
    reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True, closefd=False)
    return cast("BinaryIO", io.BufferedReader(cast("Any", reader)))


CODECS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    ".gz": lambda stream: cast("BinaryIO", gzip.GzipFile(fileobj=stream)),
    ".bz2": lambda stream: cast("BinaryIO", bz2.BZ2File(stream)),
    ".xz": lambda stream: cast("BinaryIO", lzma.LZMAFile(stream)),  # noqa: SIM115 - closed by the caller
    ".zst": _open_zst,
}


class Format(NamedTuple):
    """What a file is.

    Attributes:
        reader: A name of `READERS`.
        codec: A name of `CODECS`, or None.
    """

    reader: str
    codec: str | None


def detect(path: str, format_name: str = "auto") -> Format:
    """Says how a file is to be read.

    Args:
        path: Its path; the suffix counts.
        format_name: `read.format`.

    Returns:
        Its format and compression.

    Raises:
        ConfigError: The suffix says nothing, or the format cannot be compressed.

    >>> detect("a/b.jsonl.gz")
    Format(reader='jsonl', codec='.gz')
    """
    name = path.rsplit("/", 1)[-1].lower()
    codec = next((suffix for suffix in CODECS if name.endswith(suffix)), None)
    stem = name.removesuffix(codec) if codec else name
    reader = format_name
    if format_name == "auto":
        found = [key for key, reader in READERS.items() if stem.endswith(reader.suffixes)]
        if not found:
            known = ", ".join(suffix for reader in READERS.values() for suffix in reader.suffixes)
            raise ConfigError(
                f"read.format: the suffix of {path} is none of {known} (with {', '.join(CODECS)} behind it or "
                f"without); say which format it is: --set read.format={'|'.join(READERS)}"
            )
        reader = found[0]
    if codec and reader == "parquet":
        raise ConfigError(f"read.files: {path}: Parquet is compressed inside; unpack it from {codec}")
    return Format(reader, codec)
