"""Tables for people: what a run is, in a glance."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from pipeline.printable import printable

if TYPE_CHECKING:
    from pipeline.manifest import Manifest


def console() -> Console:
    """The console for results: stdout, never narrower than a table needs when it is no terminal."""
    # Names come from files and manifests: square brackets in them are no markup.
    return Console(width=None if sys.stdout.isatty() else 500, highlight=False, markup=False)


def bucket_rows(manifest: Manifest) -> list[dict[str, Any]]:
    """Adds a manifest's files up by split and bucket.

    Args:
        manifest: The manifest.

    Returns:
        One dict for each split and bucket: files, rows, batches, tokens, padding, bytes.
    """
    sums: dict[tuple[str, Any], dict[str, Any]] = {}
    first_format = manifest["files"][0]["format"] if manifest["files"] else None
    for file in manifest["files"]:
        key = (file["split"], file["bucket"])
        start = {"files": 0, "rows": 0, "batches": 0, "tokens": 0, "padding": 0, "bytes": 0}
        row = sums.setdefault(key, {"split": key[0], "bucket": key[1], **start})
        row["files"] += 1
        row["bytes"] += file["bytes"]
        if file["format"] == first_format:  # the same rows stand in every format
            for name in ("rows", "batches", "tokens", "padding"):
                row[name] += file[name]
    return sorted(sums.values(), key=lambda row: (row["split"], str(row["bucket"]).zfill(20)))


def percent(part: int, whole: int) -> str:
    """Spells a share out.

    >>> percent(1, 3)
    '33.3 %'
    >>> percent(0, 0)
    '-'
    """
    return f"{100 * part / whole:.1f} %" if whole else "-"


def bucket_table(manifest: Manifest) -> Table:
    """Draws the buckets of a run with their padding."""
    table = Table(box=None, pad_edge=False)
    for name in ("split", "bucket"):
        table.add_column(name)
    for name in ("files", "rows", "batches", "tokens", "padding", "of cells", "bytes"):
        table.add_column(name, justify="right")
    for row in bucket_rows(manifest):
        cells = row["tokens"] + row["padding"]
        numbers = [f"{row[name]:,}" for name in ("files", "rows", "batches", "tokens", "padding")]
        share = percent(row["padding"], cells)
        table.add_row(printable(row["split"]), printable(str(row["bucket"])), *numbers, share, f"{row['bytes']:,}")
    return table


def totals_table(manifest: Manifest) -> Table:
    """Draws the totals of a run: what was read, what became of it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column("what")
    table.add_column("number", justify="right")
    totals = manifest["totals"]
    table.add_row("rows read", f"{totals['rows_read']:,}")
    table.add_row("rows written", f"{totals['rows_written']:,}")
    for name, label in (("windows", "  further windows"), ("rows_truncated", "  truncated")):
        if totals[name]:
            table.add_row(label, f"{totals[name]:,}")
    for name, number in totals["dropped"].items():
        if number:
            table.add_row(f"  dropped, {name}", f"{number:,}")
    for reason, number in totals["dead_letters"].items():
        table.add_row(f"  dead letters, {printable(reason)}", f"{number:,}")
    table.add_row("tokens", f"{totals['tokens']:,}")
    if totals["tokens_dropped"]:
        table.add_row("  cut off", f"{totals['tokens_dropped']:,}")
    cells = totals["tokens"] + totals["padding"]
    table.add_row("padding", f"{totals['padding']:,} ({percent(totals['padding'], cells)} of cells)")
    return table
