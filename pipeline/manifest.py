"""The manifest: what a run is, written once, last, and never changed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import google_crc32c

from pipeline.manifest_fields import check_fields
from transforms.arrays.errors import ConfigError, JobError
from transforms.files import read_bytes, require_store, stat
from transforms.tokenizer_files import CONFIG, TOKENIZER

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_VERSION = 1

MANIFEST = "manifest.json"

ATTEMPTS = "attempt-"  # how the folders of attempts begin, beside it, and their scratch folders

LARGEST = 1 << 30  # bytes of a manifest: some millions of files

Manifest = dict[str, Any]

TOTALS = (
    "rows_read",
    "rows_with_output",
    "rows_written",
    "windows",
    "rows_truncated",
    "tokens_dropped",
    "tokens",
    "padding",
)
DROPPED = ("unfit", "empty", "remainder")


def canonical(value: Any) -> bytes:
    """Spells a value out as JSON in the one way that is checksummed and fingerprinted.

    >>> canonical({"b": 1, "a": [None]})
    b'{"a":[null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def seal(manifest: Manifest) -> bytes:
    """Spells a manifest out, its checksum added.

    Args:
        manifest: Without `manifest_crc32c`.

    Returns:
        What stands in manifest.json.
    """
    sealed = {**manifest, "manifest_crc32c": f"{google_crc32c.value(canonical(manifest)):08x}"}
    return json.dumps(sealed, indent=1, ensure_ascii=False).encode() + b"\n"


def tokenizer_files(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Lists the tokenizer's files.

    Args:
        manifest: Of a run.

    Yields:
        The path of each from the run's folder, and its SHA-256.
    """
    for name, key in ((TOKENIZER, "sha256"), (CONFIG, "config_sha256")):
        if manifest["tokenizer"][key] is not None:
            yield f"{manifest['tokenizer']['path']}/{name}", manifest["tokenizer"][key]


def read_manifest(run: str) -> Manifest:
    """Reads the manifest of a run.

    Args:
        run: The run's folder, or its manifest.json.

    Returns:
        The manifest, its checksum checked.

    Raises:
        ConfigError: There is no manifest, so there is no data set.
        JobError: It is damaged.
    """
    return _read(run)[0]


def read_whole(run: str) -> tuple[Manifest, bytes]:
    """Reads the manifest of a run that anybody may have written: every field is checked too.

    Args:
        run: The run's folder, or its manifest.json.

    Returns:
        The manifest, nothing of which is missing or of another type, with no path outside of the run; and the bytes
        that stand in the file.

    Raises:
        ConfigError: There is no manifest, so there is no data set.
        JobError: It is damaged, or none.
    """
    manifest, data = _read(run)
    check_fields(manifest, f"{folder_of(run)}/{MANIFEST}")
    return manifest, data


def _read(run: str) -> tuple[Manifest, bytes]:
    require_store(run, "RUN")
    path = f"{folder_of(run)}/{MANIFEST}"
    found = stat(path)
    if found is None:
        raise ConfigError(
            f"RUN: {run} has no {MANIFEST}, so it is no finished run; see what there is: oblong runs OUTPUT"
        )
    if not 0 < found.bytes <= LARGEST:  # a pipe has no size, and reading it could last for ever
        raise JobError(f"{path}: damaged: it has {found.bytes:,} bytes")
    try:
        data = read_bytes(path)
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error}") from None
    return _parse(data, path), data


def _parse(data: bytes, path: str) -> Manifest:
    """Checks a manifest's checksum and format."""
    try:
        manifest = json.loads(data.decode(), parse_constant=_no_number, parse_float=_finite)
        said = manifest.pop("manifest_crc32c")
        crc = f"{google_crc32c.value(canonical(manifest)):08x}"
    except KeyError:
        raise JobError(f"{path}: damaged: it has no manifest_crc32c") from None
    except (AttributeError, TypeError):
        raise JobError(f"{path}: damaged: it is no JSON object") from None
    except RecursionError:
        raise JobError(f"{path}: damaged: its JSON is too deep") from None
    except ValueError as error:
        raise JobError(f"{path}: damaged: {error}") from None
    if said != crc:
        raise JobError(f"{path}: damaged: its checksum is wrong")
    version = manifest.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool | float):
        raise JobError(f"{path}: format_version {version!r}; this oblong reads {FORMAT_VERSION}")
    return {**manifest, "manifest_crc32c": said}


def _no_number(spelled: str) -> float:
    raise ValueError(f"{spelled} is no number")


def _finite(spelled: str) -> float:
    number = float(spelled)
    if not math.isfinite(number):
        raise ValueError(f"{spelled} is too large a number")
    return number


def folder_of(run: str) -> str:
    """The folder of a run, however it was named.

    >>> folder_of("out/runs/a/manifest.json"), folder_of("out/runs/a/"), folder_of("manifest.json")
    ('out/runs/a', 'out/runs/a', '.')
    """
    head, _, name = run.rpartition("/")
    return (head if name == MANIFEST else run).rstrip("/") or ("/" if run.startswith("/") else ".")


def totals_of(counts: dict[str, int]) -> dict[str, Any]:
    """Arranges added-up counts as a manifest has them.

    Args:
        counts: By name; `dropped.x` and `dead_letters.x` belong to x.

    Returns:
        The totals.
    """
    totals: dict[str, Any] = {name: counts.get(name, 0) for name in TOTALS}
    totals["dropped"] = {name: counts.get(f"dropped.{name}", 0) for name in DROPPED}
    letters = {name.removeprefix("dead_letters."): n for name, n in counts.items() if name.startswith("dead_letters.")}
    totals["dead_letters"] = dict(sorted(letters.items()))
    return totals


def check_laws(totals: dict[str, Any]) -> None:
    """Checks that no row was lost.

    Args:
        totals: Of a manifest.

    Raises:
        JobError: The numbers do not add up, which is a defect of Oblong.
    """
    dropped, letters = totals["dropped"], sum(totals["dead_letters"].values())
    accounted = totals["rows_with_output"] + letters + dropped["unfit"] + dropped["empty"]
    if totals["rows_read"] != accounted:
        raise JobError(f"rows were lost: {totals['rows_read']} were read, {accounted} are accounted for: {totals}")
    written = totals["rows_with_output"] + totals["windows"] - dropped["remainder"]
    if totals["rows_written"] != written:
        raise JobError(f"rows were lost: {written} were to be written, {totals['rows_written']} were: {totals}")
