"""Inspect: what a run is, and some of its rows decoded back to text beside their masks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pipeline.data_set import is_data_set, read_data_set
from pipeline.manifest import folder_of, read_whole
from pipeline.printable import printable
from pipeline.reading_back import UNREADABLE, place_of, read_batches, told
from transforms.arrays.errors import ConfigError, JobError
from transforms.arrays.facts import plain_tokenizer
from transforms.arrays.pad import COLUMNS
from transforms.files import read_bytes
from transforms.tokenizer_files import TOKENIZER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from pipeline.manifest import Manifest


def inspect(run: str, rows: int = 0) -> dict[str, Any]:
    """Reads a manifest and some rows.

    Args:
        run: The run's folder, or its manifest.json; or the output of a corpus that grows, for all its generations.
        rows: How many rows to decode, from the first shard on.

    Returns:
        `run`, `manifest` and `rows`: each with its columns, and `text` decoded from the tokens that are
        no padding (`decoded`, where a column is called text).

    Raises:
        ConfigError: There is no manifest.
        JobError: The manifest or a shard is damaged.
    """
    folder = folder_of(run)
    manifest = read_data_set(folder) if is_data_set(folder) else read_whole(run)[0]
    return {"run": folder, "manifest": manifest, "rows": first_rows(folder, manifest, rows)}


def first_rows(folder: str, manifest: Manifest, count: int) -> list[dict[str, Any]]:
    """Decodes rows of the first shards, in the first format.

    Args:
        folder: The run's folder.
        manifest: Its manifest.
        count: How many.

    Returns:
        The rows' columns, and `text` where there are ids.
    """
    if not count or not manifest["files"]:
        return []
    tokenizer = _tokenizer(folder, manifest)
    found: list[dict[str, Any]] = []
    for file in (f for f in manifest["files"] if f["format"] == manifest["files"][0]["format"]):
        for batch in read_batches(folder, file, manifest):
            try:
                found += (_decoded(row, tokenizer) for row in batch.slice(0, count - len(found)).to_pylist())
            except UNREADABLE as error:
                raise JobError(f"{file['path']}: cannot be read: {told(error)}") from error
            if len(found) == count:
                return found
    return found


def _tokenizer(folder: str, manifest: Manifest) -> Tokenizer:
    """Loads the tokenizer that was used, and no other: its checksum is compared first."""
    path = f"{manifest['tokenizer']['path']}/{TOKENIZER}"
    try:
        data = read_bytes(place_of(folder, path))
        if hashlib.sha256(data).hexdigest() != manifest["tokenizer"]["sha256"]:
            raise JobError(f"{path}: damaged: its sha256 differs")
        return plain_tokenizer(data)
    except (OSError, ConfigError) as error:
        raise JobError(f"{path}: cannot be read: {error}") from error


def _decoded(row: dict[str, Any], tokenizer: Tokenizer) -> dict[str, Any]:
    """Adds the text of a row's tokens that are no padding."""
    if "input_ids" in row:
        mask = row.get("attention_mask") or [1] * len(row["input_ids"])
        real = [token for token, is_real in zip(row["input_ids"], mask, strict=True) if is_real]
        row["text" if "text" not in row else "decoded"] = tokenizer.decode(real, skip_special_tokens=False)
    return row


def spell_row(row: dict[str, Any], width: int = 110) -> str:
    """Spells a decoded row out: kept columns, then columns of cells on one line each, cut to fit.

    Args:
        row: As `first_rows` gives it.
        width: Characters of a line.

    Returns:
        Some lines.
    """
    lines = []
    for name, value in row.items():
        text = " ".join(map(str, value)) if name in COLUMNS else repr(value) if isinstance(value, str) else str(value)
        room = width - 22
        lines.append(f"{printable(name):<20}  {text if len(text) <= room else text[: room - 4] + ' ...'}")
    return "\n".join(lines)
