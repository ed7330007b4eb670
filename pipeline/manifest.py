"""The manifest: what a run is, written once, last, and never changed."""

from __future__ import annotations

import json
from typing import Any

import google_crc32c

from transforms.arrays.errors import ConfigError, JobError
from transforms.files import exists, read_bytes, require_store

FORMAT_VERSION = 1

MANIFEST = "manifest.json"

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
    require_store(run, "RUN")
    path = run if run.endswith(MANIFEST) else f"{run.rstrip('/')}/{MANIFEST}"
    if not exists(path):
        raise ConfigError(
            f"RUN: {run} has no {MANIFEST}, so it is no finished run; see what there is: oblong runs OUTPUT"
        )
    try:
        manifest = json.loads(read_bytes(path))
        said = manifest.pop("manifest_crc32c")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise JobError(f"{path}: damaged: {error}") from None
    if said != f"{google_crc32c.value(canonical(manifest)):08x}":
        raise JobError(f"{path}: damaged: its checksum is wrong")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise JobError(f"{path}: format_version {manifest.get('format_version')}; this oblong reads {FORMAT_VERSION}")
    return {**manifest, "manifest_crc32c": said}


def folder_of(run: str) -> str:
    """The folder of a run, however it was named."""
    return (run[: -len(MANIFEST)] if run.endswith(MANIFEST) else run).rstrip("/") or "."


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
