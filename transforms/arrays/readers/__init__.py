"""Readers: two functions a format: streams of bytes in and `Rows` out, and what the first rows tell.

A new format is these two and one line in `READERS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from transforms.arrays.errors import ConfigError
from transforms.arrays.readers.decompress import CODECS, DAMAGED
from transforms.arrays.readers.delimited import read_csv, read_tsv
from transforms.arrays.readers.jsonl import read_jsonl
from transforms.arrays.readers.parquet import read_parquet
from transforms.arrays.readers.rows import Columns, Reading, Rows, Source, columns_of
from transforms.arrays.readers.sample import (
    Sample,
    Search,
    sample_csv,
    sample_jsonl,
    sample_parquet,
    sample_text,
    sample_tsv,
)
from transforms.arrays.readers.text import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "CODECS",
    "DAMAGED",
    "READERS",
    "Columns",
    "Format",
    "Reader",
    "Reading",
    "Rows",
    "Search",
    "Source",
    "columns_of",
    "detect",
    "sample",
]


class Reader(NamedTuple):
    """How a format is read.

    Attributes:
        read: Turns a stream into rows.
        sample: Tells from a file's first rows which columns it has, and the types of kept ones that are not given.
        suffixes: Of file names, for `read.format: auto`.
        unit: What the file is divided by where it is not compressed: "bytes", "row groups" or None.
    """

    read: Callable[[BinaryIO, Source, Columns], Iterator[Rows]]
    sample: Callable[[BinaryIO, str, Reading, dict[str, Any]], Sample | None]
    suffixes: tuple[str, ...]
    unit: str | None


READERS: dict[str, Reader] = {
    "text": Reader(read_text, sample_text, (".txt", ".text"), "bytes"),
    "jsonl": Reader(read_jsonl, sample_jsonl, (".jsonl", ".ndjson", ".json"), "bytes"),
    "csv": Reader(read_csv, sample_csv, (".csv",), None),
    "tsv": Reader(read_tsv, sample_tsv, (".tsv", ".tab"), None),
    "parquet": Reader(read_parquet, sample_parquet, (".parquet", ".pq"), "row groups"),
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


def sample(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> Sample | None:
    """Looks at a file's first rows.

    Args:
        stream: The file.
        path: Its path.
        reading: The section `read`.
        said: Kept columns whose Arrow types are known.

    Returns:
        What they tell; None where the file has no row to tell from.

    Raises:
        ConfigError: The file cannot be used, or the type of a column cannot be told.
        JobError: It is no Parquet file, or has a column twice.
    """
    how = detect(path, reading.format)
    if how.codec:
        stream = CODECS[how.codec](stream)
    return READERS[how.reader].sample(stream, path, reading, said)
