"""Contradictions: what a manifest says of its files against what it says elsewhere, before any of them is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pipeline.manifest import check_laws
from pipeline.reading_back import schema_of_manifest
from transforms.arrays.bucket import Batching, Bucketing, Layout, make_layout
from transforms.arrays.errors import ConfigError, JobError
from transforms.arrays.formats import FORMATS, TYPES, Writing, schema_of
from transforms.arrays.identity import escape_path
from transforms.arrays.pad import Padding
from transforms.arrays.shape import CELL_BYTES
from transforms.arrays.shards import Shard
from transforms.arrays.truncate import Truncation
from transforms.dead_letters import FOLDER as LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.manifest import Manifest

PART = re.compile(r"part-(\d{5,9})-of-(\d{5,9})(\..*)?", re.DOTALL)

LETTERS_PART = re.compile(r"part-(\d{5,9})-of-(\d{5,9})\.jsonl")

SHARED = ("rows", "batches", "rows_per_batch", "width", "tokens", "padding")  # the same in every format

Section = TypeVar("Section", bound=msgspec.Struct)


@dataclass(frozen=True)
class Claims:
    """What a manifest's configuration says of every shard.

    Attributes:
        layout: Buckets, and the batches in each.
        writing: Formats, columns, codecs and shards.
        splits: Names of the splits.
        schema: The Arrow schema of the shards.
        vocab_size: Ids are below it.
        inputs: Paths of the inputs as row ids spell them.
    """

    layout: Layout
    writing: Writing
    splits: frozenset[str]
    schema: Any
    vocab_size: int
    inputs: frozenset[str]


def read_claims(manifest: Manifest) -> Claims:
    """Works out of a manifest's configuration what its shards have to be.

    Args:
        manifest: With its fields checked.

    Returns:
        The claims.

    Raises:
        JobError: The configuration is none that a job could have had; the text names the section.
    """
    truncation, writing = _section(manifest, "truncate", Truncation), _section(manifest, "write", Writing)
    padding, batching = _section(manifest, "pad", Padding), _section(manifest, "batch", Batching)
    bucketing = _section(manifest, "bucket", Bucketing)
    limit = truncation.max_length
    limit = manifest["tokenizer"]["model_max_length"] if limit is None else limit
    cell_bytes = sum(CELL_BYTES.get(name, 0) for name in writing.columns)
    try:
        layout = make_layout(bucketing, batching, padding, limit, cell_bytes, truncates=truncation.truncates)
        writing.codecs()
    except ConfigError as error:
        raise JobError(f"manifest.json: config.{error}") from None
    return Claims(
        layout=layout,
        writing=writing,
        splits=frozenset(manifest["config"].get("split") or ["train"]),
        schema=schema_of_manifest(manifest),
        vocab_size=manifest["tokenizer"]["vocab_size"],
        inputs=frozenset(escape_path(file["file"]) for file in manifest["inputs"]),
    )


def _section(manifest: Manifest, name: str, kind: type[Section]) -> Section:
    """Reads a section of the configuration; keys that a later version added are left out."""
    fields = {field.name for field in msgspec.structs.fields(kind)}
    said = {key: value for key, value in manifest["config"].get(name, {}).items() if key in fields}
    try:
        return msgspec.convert(said, kind)
    except (msgspec.ValidationError, ArithmeticError) as error:
        raise JobError(f"manifest.json: config.{name}: {error}") from None


def contradictions(manifest: Manifest, claims: Claims) -> Iterator[str]:
    """Finds what a manifest says in one place and denies in another.

    Args:
        manifest: With its fields checked.
        claims: Of its configuration.

    Yields:
        Sentences, each beginning with the file that it is about.
    """
    for key, by in (("files", "path"), ("dead_letters", "path"), ("inputs", "file")):
        yield from _order(manifest, key, by)
    yield from _schema(manifest, claims)
    for file in manifest["files"]:
        yield from (f"{file['path']}: {problem}" for problem in _label(file, manifest["attempt"], claims))
    for file in manifest["dead_letters"]:
        folder, _, name = file["path"].rpartition("/")
        match = LETTERS_PART.fullmatch(name)
        if folder != f"{manifest['attempt']}/{LETTERS}" or match is None or int(match[1]) >= int(match[2]):
            yield f"{file['path']}: is no name of a file of dead letters"
    yield from _formats(manifest, claims)
    yield from _sums(manifest, claims)


def _order(manifest: Manifest, key: str, by: str) -> Iterator[str]:
    """Entries stand in the order of their paths, each once."""
    for i, (before, after) in enumerate(pairwise(entry[by] for entry in manifest[key])):
        if before == after:
            yield f"manifest.json: {key} names {after} twice"
        elif before > after:
            yield f"manifest.json: {key}[{i + 1}] is {after}, which belongs before {before}"


def _schema(manifest: Manifest, claims: Claims) -> Iterator[str]:
    """The schema is that of the kept columns and of the columns asked for; the tokenizer is where it belongs."""
    keep, columns = manifest["config"].get("read", {}).get("keep"), claims.writing.columns
    if not isinstance(keep, dict) or not all(isinstance(kind, str) and kind in TYPES for kind in keep.values()):
        yield "manifest.json: config.read.keep is no list of columns with their types"
        return
    # JSON's objects have no order; kept columns come first in whatever theirs was.
    kept = [name for name in claims.schema.names[: len(keep)] if name in keep]
    expected = schema_of({name: TYPES[keep[name]] for name in kept}, tuple(columns))
    if len(kept) < len(keep) or isinstance(columns, str) or not expected.equals(claims.schema):
        yield "manifest.json: the schema is not that of config.read.keep and config.write.columns"
    if manifest["tokenizer"]["path"] != f"{manifest['attempt']}/tokenizer":
        yield f"manifest.json: tokenizer.path is {manifest['tokenizer']['path']}, not tokenizer in the attempt's folder"


def _label(file: dict[str, Any], attempt: str, claims: Claims) -> Iterator[str]:
    """What is said of a shard fits its path and the configuration."""
    layout, writing = claims.layout, claims.writing
    codec = writing.codecs().get(file["format"])
    if codec is None:
        yield f"is {file['format']}, which config.write.formats does not name"
        return
    labels = [layout.label(i) for i in range(len(layout.rows))]
    if file["bucket"] not in labels:
        yield f"is of the bucket {file['bucket']}; there are {', '.join(map(str, labels))}"
        return
    if file["split"] not in claims.splits:
        yield f"is of the split {file['split']!r}, which config.split does not name"
    part = PART.fullmatch(file["path"].rpartition("/")[2])
    number, shards = (int(part[1]), int(part[2])) if part else (0, 0)
    stem = Shard(file["split"], file["bucket"], number, shards).stem
    expected = f"{attempt}/{stem}{FORMATS[file['format']].suffix(codec)}"
    if file["path"] != expected or number >= shards:
        what = (f"split {file['split']}", f"bucket {file['bucket']}", f"{file['format']} with codec {codec}")
        yield f"is not where a shard belongs of {', '.join(what)}"
    elif isinstance(writing.shards, int) and shards != writing.shards:
        yield f"is one of {shards} shards; config.write.shards is {writing.shards}"
    index = layout.index(file["bucket"])
    if file["rows_per_batch"] != layout.rows[index]:
        yield f"has {file['rows_per_batch']} rows in a batch; the configuration makes it {layout.rows[index]}"
    batches = -(-file["rows"] // file["rows_per_batch"])
    if file["batches"] != batches:
        yield f"has {batches} batches, expected {file['batches']}"
    if layout.drop_remainder and file["rows"] % file["rows_per_batch"]:
        yield "ends in a smaller batch, which config.batch.drop_remainder leaves out"
    if file["width"] not in (None, layout.target(index)):
        yield f"is {file['width']} wide; the configuration makes it {layout.target(index)}"


def _formats(manifest: Manifest, claims: Claims) -> Iterator[str]:
    """Every shard is there in every format, with the same rows."""
    shards: dict[str, dict[str, Any]] = {}
    for file in manifest["files"]:
        folder, _, name = file["path"].rpartition("/")
        shards.setdefault(f"{folder}/{name.partition('.')[0]}", {})[file["format"]] = file
    for files in shards.values():
        first = next(iter(files.values()))
        for name in claims.writing.names:
            if name not in files:
                yield f"{first['path']}: has no {name} file of the same rows beside it"
        for other in files.values():
            differ = [key for key in SHARED if other[key] != first[key]]
            if differ:
                yield f"{other['path']}: has other {', '.join(differ)} than {first['path']}, which has the same rows"


def _sums(manifest: Manifest, claims: Claims) -> Iterator[str]:
    """The totals add up, and are the sums of what is said of the files, once for each format."""
    totals = manifest["totals"]
    try:
        check_laws(totals)
    except JobError as error:
        yield f"manifest.json: {error}"
    letters, said = sum(file["rows"] for file in manifest["dead_letters"]), sum(totals["dead_letters"].values())
    if letters != said:
        yield f"manifest.json: totals.dead_letters are {said}, their files have {letters}"
    for name in claims.writing.names:
        files = [file for file in manifest["files"] if file["format"] == name]
        for key, total in (("rows", "rows_written"), ("tokens", "tokens"), ("padding", "padding")):
            added = sum(file[key] for file in files)
            if added != totals[total]:
                yield f"manifest.json: totals.{total} is {totals[total]}, its {name} files have {added}"
    if totals["rows_truncated"] > totals["rows_written"]:
        yield f"manifest.json: totals.rows_truncated is {totals['rows_truncated']}, more than rows were written"
    if totals["dropped"]["remainder"] and not claims.layout.drop_remainder:
        yield "manifest.json: totals.dropped.remainder is not 0, though config.batch.drop_remainder is false"
