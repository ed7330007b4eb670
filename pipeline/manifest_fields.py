"""What a manifest has to hold: each field's type and range, and that every path stays inside the run.

Fields that are not listed here are let through: a later version may say more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from transforms.arrays.errors import JobError
from transforms.arrays.formats import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 2**63 - 1  # what fits the arrays that are compared with it

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Some = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
Crc = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}\Z")]
Sha = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Moment = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]


class _Tokenizer(msgspec.Struct):
    path: str
    sha256: Sha
    config_sha256: Sha | None
    engine: str
    engine_reason: str
    tokens_checked: Count
    vocab_size: Some
    model_max_length: Some | None


class _Input(msgspec.Struct):
    path: str
    file: str
    bytes: Count
    changed: Moment
    checksum: str | None = None


class _File(msgspec.Struct):
    path: str
    format: str
    split: str
    bucket: Some | str
    rows: Some
    batches: Some
    rows_per_batch: Some
    width: Count | None
    tokens: Count
    padding: Count
    bytes: Some
    crc32c: Crc


class _Letters(msgspec.Struct):
    path: str
    rows: Some
    bytes: Some
    crc32c: Crc


class _Column(msgspec.Struct):
    name: str
    type: str


class _Generation(msgspec.Struct):
    number: Some
    previous: list[str]
    new: Count
    changed: dict[str, str]
    young: list[str]
    seen: Count


class _Dropped(msgspec.Struct):
    unfit: Count
    empty: Count
    remainder: Count


class _Totals(msgspec.Struct):
    rows_read: Count
    rows_with_output: Count
    rows_written: Count
    windows: Count
    rows_truncated: Count
    tokens_dropped: Count
    tokens: Count
    padding: Count
    dropped: _Dropped
    dead_letters: dict[str, Some]


class _Manifest(msgspec.Struct):
    run_id: str
    attempt: str
    created: str
    fingerprint: str
    recipe: Sha
    generation: _Generation | None
    config: dict[str, dict[str, Any]]
    notes: list[str]
    tokenizer: _Tokenizer
    inputs: list[_Input]
    files: list[_File]
    dead_letters: list[_Letters]
    schema: list[_Column]
    totals: _Totals
    versions: dict[str, str]


def check_fields(manifest: dict[str, Any], path: str) -> None:
    """Checks that a manifest is one: nothing is missing or of another type, and nothing is outside of the run.

    Args:
        manifest: As JSON has it.
        path: Where it is, for messages.

    Raises:
        JobError: It is none, or names a path outside of its own attempt's folder; the text says where.

    >>> check_fields({"run_id": "a"}, "run/manifest.json")
    Traceback (most recent call last):
    transforms.arrays.errors.JobError: run/manifest.json: no manifest of a run: Object missing required field `attempt`
    """
    try:
        msgspec.convert(manifest, _Manifest)
    except msgspec.ValidationError as error:
        raise JobError(f"{path}: no manifest of a run: {_place_first(str(error))}") from None
    for place, value, inside in _paths(manifest):
        if not inside:
            raise JobError(f"{path}: {place} is {value!r}, which is outside of the run; it was not read")
    names = [column["name"] for column in manifest["schema"]]
    for i, column in enumerate(manifest["schema"]):
        if column["type"] not in TYPES:
            raise JobError(f"{path}: schema[{i}].type is {column['type']!r}, which is not known here")
        if column["name"] in names[:i]:
            raise JobError(f"{path}: schema[{i}].name is {column['name']!r} a second time")


def _paths(manifest: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Every path that is read: where it is said, what it is, and whether it is inside the attempt's folder."""
    attempt = manifest["attempt"]
    yield "attempt", attempt, _is_inside(attempt, attempt) and "/" not in attempt
    yield "tokenizer.path", manifest["tokenizer"]["path"], _is_inside(manifest["tokenizer"]["path"], attempt)
    for key in ("files", "dead_letters"):
        for i, file in enumerate(manifest[key]):
            yield f"{key}[{i}].path", file["path"], _is_inside(file["path"], attempt)


def _is_inside(path: str, attempt: str) -> bool:
    parts = path.split("/")
    return parts[0] == attempt and not {"", ".", ".."} & set(parts) and "\\" not in path and "\0" not in path


def _place_first(problem: str) -> str:
    """Turns msgspec's sentence round: first the place, as people write it.

    >>> _place_first("Expected `int`, got `str` - at `$.files[0].rows`")
    'files[0].rows: Expected `int`, got `str`'
    """
    match = re.fullmatch(r"(.*) - at `(?:key in )?\$\.?(.*)`", problem, re.DOTALL)
    return f"{match[2]}: {match[1]}" if match else problem
