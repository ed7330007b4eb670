"""Verify: every file that a manifest names is read again, and everything said of it checked.

It finds damage, not forgery: whoever can write the files can write a manifest that fits them.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from pipeline.manifest import check_laws, folder_of, read_manifest
from pipeline.reading_back import read_batches, schema_of_manifest
from transforms.arrays.errors import ConfigError, JobError, OblongError, StoreError
from transforms.arrays.pad import COLUMNS
from transforms.arrays.ragged import Ragged
from transforms.files import list_folder, open_copy, read_bytes
from transforms.tokenizer_files import CONFIG, TOKENIZER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pipeline.manifest import Manifest

CHUNK = 8 << 20


class Verdict(NamedTuple):
    """What a run looks like when it is read again.

    Attributes:
        files: Files read.
        rows: Rows read, of all formats.
        problems: What differs from the manifest, each naming its file.
    """

    files: int
    rows: int
    problems: list[str]


def verify(run: str) -> Verdict:
    """Reads a run again and compares it with its manifest.

    Args:
        run: The run's folder, or its manifest.json.

    Returns:
        The verdict.

    Raises:
        ConfigError: There is no manifest.
        StoreError: The file system does not give it.
    """
    try:
        manifest = read_manifest(run)
    except (ConfigError, StoreError):
        raise
    except OblongError as error:
        return Verdict(0, 0, [str(error)])
    try:
        return _compare(folder_of(run), manifest)
    except (KeyError, AttributeError, TypeError) as error:
        return Verdict(0, 0, [f"manifest.json: it is no manifest of a run: {type(error).__name__} {error}"])


def _compare(folder: str, manifest: Manifest) -> Verdict:
    # One listing, not a request for each file.
    sizes = {_below(found.path, folder): found.bytes for found in list_folder(f"{folder}/{manifest['attempt']}")}
    problems = [*_strangers(sizes, manifest), *_tokenizer(folder, sizes, manifest), *_sums(manifest)]
    rows = 0
    for file in (*manifest["files"], *manifest["dead_letters"]):
        counted, wrong = _file(folder, sizes.get(file["path"]), file, manifest)
        rows += counted
        problems += wrong
    return Verdict(len(manifest["files"]) + len(manifest["dead_letters"]), rows, problems)


def _below(path: str, folder: str) -> str:
    return path.removeprefix(f"{folder}/")


def _strangers(sizes: dict[str, int], manifest: Manifest) -> Iterator[str]:
    """Files in the attempt's folder that the manifest does not name."""
    known = {file["path"] for file in (*manifest["files"], *manifest["dead_letters"])}
    known |= {path for path, _ in _tokenizer_files(manifest)}
    for name in sizes:
        if name not in known:
            yield f"{name}: in the run's folder, but the manifest does not name it"


def _tokenizer_files(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """The tokenizer's files and their checksums."""
    for name, key in ((TOKENIZER, "sha256"), (CONFIG, "config_sha256")):
        if manifest["tokenizer"].get(key) is not None:
            yield f"{manifest['tokenizer']['path']}/{name}", manifest["tokenizer"][key]


def _tokenizer(folder: str, sizes: dict[str, int], manifest: Manifest) -> Iterator[str]:
    for path, expected in _tokenizer_files(manifest):
        if path not in sizes:
            yield f"{path}: missing"
        elif hashlib.sha256(read_bytes(f"{folder}/{path}")).hexdigest() != expected:
            yield f"{path}: its sha256 differs"


def _sums(manifest: Manifest) -> Iterator[str]:
    """The totals add up, and are the sums of what is said of the files, once for each format."""
    try:
        check_laws(manifest["totals"])
    except JobError as error:
        yield f"manifest.json: {error}"
    letters, said = sum(file["rows"] for file in manifest["dead_letters"]), manifest["totals"]["dead_letters"]
    if letters != sum(said.values()):
        yield f"manifest.json: totals.dead_letters are {sum(said.values())}, their files have {letters}"
    formats = manifest["config"]["write"]["formats"]
    for name in [formats] if isinstance(formats, str) else formats:
        files = [file for file in manifest["files"] if file["format"] == name]
        for key, total in (("rows", "rows_written"), ("tokens", "tokens"), ("padding", "padding")):
            added = sum(file[key] for file in files)
            if added != manifest["totals"][total]:
                yield f"manifest.json: totals.{total} is {manifest['totals'][total]}, its {name} files have {added}"


def _file(folder: str, found: int | None, file: dict[str, Any], manifest: Manifest) -> tuple[int, list[str]]:
    """Compares a file, of which the listing gave the size; returns how many rows it has, and what is wrong."""
    name = file["path"]
    if found is None:
        return 0, [f"{name}: missing"]
    if found != file["bytes"]:
        return 0, [f"{name}: has {found} bytes, expected {file['bytes']}"]
    with open_copy(f"{folder}/{name}") as stream:
        crc = 0
        while chunk := stream.read(CHUNK):
            crc = google_crc32c.extend(crc, chunk)
        if f"{crc:08x}" != file["crc32c"]:
            return 0, [f"{name}: its crc32c is {crc:08x}, not {file['crc32c']}"]
        stream.seek(0)
        rows, wrong = _contents(stream, folder, file, manifest)
    return rows, [f"{name}: {problem}" for problem in wrong]


def _contents(stream: BinaryIO, folder: str, file: dict[str, Any], manifest: Manifest) -> tuple[int, list[str]]:
    """Compares a file's rows; returns how many there are, and what is wrong."""
    try:
        if "format" not in file:
            rows = sum(1 for line in stream.read().splitlines() if json.loads(line))
            return rows, [] if rows == file["rows"] else [f"has {rows} rows, expected {file['rows']}"]
        return _shard(stream, folder, file, manifest)
    except (OblongError, ValueError, KeyError, AttributeError, TypeError) as error:
        return 0, [str(error)]


def _shard(stream: BinaryIO, folder: str, file: dict[str, Any], manifest: Manifest) -> tuple[int, list[str]]:
    """Compares a shard's columns, widths and masks."""
    widths, tokens, wrong = [], [], []
    for batch in read_batches(folder, file, manifest, stream):
        if not batch.schema.equals(schema_of_manifest(manifest)):
            return batch.num_rows, [f"has the columns {batch.schema.names} of other names or types than the manifest"]
        cells = {name: Ragged.from_arrow(batch.column(name)) for name in batch.schema.names if name in COLUMNS}
        first = next(iter(cells.values()), None)
        wrong += [
            f"{name} is not as wide as the other columns"
            for name, column in cells.items()
            if first is not None and not np.array_equal(column.lengths, first.lengths)
        ]
        widths.append(first.lengths if first is not None else np.zeros(batch.num_rows, np.int64))
        if "attention_mask" in cells:
            wrong += _mask_problems(cells["attention_mask"], manifest["config"]["pad"]["side"])
            mask = cells["attention_mask"]
            tokens.append(np.add.reduceat(np.append(mask.values, 0), mask.offsets[:-1]) * (mask.lengths > 0))
    all_widths = np.concatenate(widths) if widths else np.zeros(0, np.int64)
    wrong += _width_problems(all_widths, file, manifest)
    if tokens and int(np.concatenate(tokens).sum()) != file["tokens"]:
        wrong.append(f"its masks count {int(np.concatenate(tokens).sum())} tokens, expected {file['tokens']}")
    return len(all_widths), list(dict.fromkeys(wrong))


def _mask_problems(mask: Ragged, side: str) -> Iterator[str]:
    """A mask is a run of ones and, on the padded side, a run of zeros."""
    if not np.isin(mask.values[mask.offsets[0] : mask.offsets[-1]], (0, 1)).all():
        yield "attention_mask holds other values than 0 and 1"
        return
    steps = np.diff(mask.values.astype(np.int8))
    inside = np.ones(len(steps), bool)  # steps between two cells of one row
    edges = mask.offsets[1:-1]
    inside[edges[(edges > 0) & (edges <= len(steps))] - 1] = False
    if len(steps) and (steps[inside] == (1 if side == "right" else -1)).any():
        yield f"attention_mask does not end in padding on the {side}"


def _width_problems(widths: NDArray[np.int64], file: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    """Rows of a batch are equally wide, and the cells add up."""
    if len(widths) != file["rows"]:
        yield f"has {len(widths)} rows, expected {file['rows']}"
        return
    if file["batches"] != -(-len(widths) // file["rows_per_batch"]):
        yield f"has {-(-len(widths) // file['rows_per_batch'])} batches, expected {file['batches']}"
    if not any(name in COLUMNS for name in (column["name"] for column in manifest["schema"])):
        return
    if int(widths.sum()) != file["tokens"] + file["padding"]:
        yield f"has {int(widths.sum())} cells, expected {file['tokens'] + file['padding']}"
    if file["width"] is not None and not (widths == file["width"]).all():
        yield f"has rows that are not {file['width']} wide"
    pad = manifest["config"]["pad"]["to"]
    starts = np.arange(0, len(widths), file["rows_per_batch"])
    if pad in ("longest", "bucket") and len(widths):
        narrow, wide = np.minimum.reduceat(widths, starts), np.maximum.reduceat(widths, starts)
        if (narrow != wide).any():
            yield f"batch {int(np.flatnonzero(narrow != wide)[0])} is no rectangle"
