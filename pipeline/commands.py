"""The commands of `oblong`: what each does with its arguments, prints, and returns as exit code."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from pipeline.printable import printable
from transforms.arrays.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

DONE, FAILED, USAGE, DIFFERS = 0, 1, 2, 3  # exit codes

# Short options of `oblong run`, and the keys they stand for.
SHORT = {"input": "read.files", "output": "write.path", "tokenizer": "tokenize.tokenizer", "run_id": "run.id"}


def say(sentence: str) -> None:
    """Says something to the user beside the result, on one line, whatever names are in it."""
    print(f"oblong: {printable(sentence)}", file=sys.stderr)  # noqa: T201


def show(line: str) -> None:
    """Prints a line of the result."""
    print(line)  # noqa: T201


def show_json(value: Any) -> None:
    """Prints the whole result as one JSON object."""
    show(json.dumps(value, default=str))


def count(number: int, noun: str) -> str:
    """Spells a number of things out."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def reach_files(rest: list[str]) -> None:
    """Gives the file systems the options that they need, before anything is read.

    Args:
        rest: Beam's options on the command line, e.g. --hdfs_host.

    Raises:
        ConfigError: There is no such option.
    """
    if rest:
        from pipeline.options import parse_options
        from transforms.files import use_options

        use_options(parse_options(rest))


def run_command(args: argparse.Namespace, rest: list[str]) -> int:
    """Runs a job: `oblong run`."""
    from pipeline.allocator import keep_freed_memory
    from pipeline.config import load_config
    from pipeline.launch import StoppedLate, run_job

    keep_freed_memory()
    reach_files(rest)
    started = time.monotonic()
    config = load_config(args.config, _overrides(args))
    outcome = run_job(config, rest, force=args.force, wait=not args.no_wait, say=say)
    try:
        _show_outcome(outcome, time.monotonic() - started, as_json=args.json)
    except KeyboardInterrupt:
        if outcome.manifest is None:
            raise
        raise StoppedLate(outcome.folder) from None
    return DONE


def _overrides(args: argparse.Namespace) -> list[str]:
    """The overrides that were given, the short options last."""
    short = {key: getattr(args, option) for option, key in SHORT.items() if getattr(args, option) is not None}
    return [*args.set, *(f"{key}={json.dumps(value)}" for key, value in short.items())]


def doctor_command(args: argparse.Namespace, rest: list[str]) -> int:
    """Looks whether a job could start: `oblong doctor`."""
    from pipeline.doctor import examine

    findings = examine(args.config, _overrides(args), rest)
    healthy = all(finding.ok is not False for finding in findings)
    if args.json:
        show_json({"ok": healthy, "findings": [finding._asdict() for finding in findings]})
        return DONE if healthy else USAGE
    marks = {True: "ok", False: "wrong", None: "-"}
    _print_table(("what", "", "found"), [[one.what, marks[one.ok], one.detail] for one in findings])
    wrong = sum(finding.ok is False for finding in findings)
    told = all(finding.ok for finding in findings)
    good = "the job can start" if told else "the job can start, as far as can be told"
    show(good if healthy else f"{count(wrong, 'thing')} to be mended before the job can start")
    return DONE if healthy else USAGE


def _show_outcome(outcome: Any, seconds: float, *, as_json: bool) -> None:
    from pipeline import summary

    if as_json:
        parts = {"status": outcome.status, "run": outcome.folder, "manifest": f"{outcome.folder}/manifest.json"}
        totals = outcome.manifest["totals"] if outcome.manifest else None
        show_json({**parts, "notes": list(outcome.notes), "totals": totals})
        return
    out = summary.console()
    if outcome.manifest is None:
        for note in outcome.notes:
            _show(out, note)
        _show(out, f"{outcome.status}: {outcome.folder}")
        return
    if outcome.status == "already done":
        for note in outcome.notes:
            say(note)
        _show(out, f"already done: {outcome.folder}")
        return
    out.print(summary.bucket_table(outcome.manifest))
    out.print()
    out.print(summary.totals_table(outcome.manifest))
    out.print()
    rate = outcome.manifest["totals"]["rows_read"] / max(seconds, 1e-3)
    engine = outcome.manifest["tokenizer"]["engine"]
    _show(out, f"took {seconds:,.1f} s, {rate:,.0f} rows a second, encoded by {engine}")
    _show(out, f"done: {outcome.folder}")
    _show(out, f"shards: {outcome.folder}/{outcome.manifest['attempt']}/")


def verify_command(args: argparse.Namespace, rest: list[str]) -> int:
    """Reads a run again: `oblong verify`."""
    from pipeline.data_set import is_data_set, verify_data_set
    from pipeline.verify import verify

    reach_files(rest)
    verdict = verify_data_set(args.run) if is_data_set(args.run) else verify(args.run)
    if args.json:
        found = verdict._asdict()
        show_json({"ok": not verdict.problems, **{k: v for k, v in found.items() if k != "leftovers" or v}})
    else:
        for problem in verdict.problems:
            show(problem)
        healthy = "ok: no damage (forgery is not looked for)"
        state = healthy if not verdict.problems else count(len(verdict.problems), "difference")
        show(f"{state}: {count(verdict.files, 'file')}, {count(verdict.rows, 'row')} read again")
        for folder, files in verdict.leftovers.items():
            show(f"beside it: {folder}, {count(files, 'file')} of an attempt that was not committed; see oblong gc")
    return DIFFERS if verdict.problems else DONE


def inspect_command(args: argparse.Namespace, rest: list[str]) -> int:
    """Shows a run: `oblong inspect`."""
    from pipeline.inspection import inspect

    if args.rows < 0:
        raise ConfigError(f"--rows: {args.rows} is too small; it must be at least 0")
    reach_files(rest)
    found = inspect(args.run, args.rows)
    if args.json:
        show_json(found)
        return DONE
    _show_run(found)
    return DONE


def _show(out: Any, line: str) -> None:
    """Prints a line on a console, whatever names are in it."""
    out.print(printable(line), markup=False, soft_wrap=True)


def _show_run(found: dict[str, Any]) -> None:
    from pipeline import summary
    from pipeline.inspection import spell_row

    manifest, out = found["manifest"], summary.console()
    tokenizer = manifest["tokenizer"]
    if "generations" in manifest:
        _show(out, f"{count(len(manifest['generations']), 'generation')} of {found['run']}")
    else:
        _show(out, f"run {manifest['run_id']}, committed by {manifest['attempt']}")
    _show(
        out, f"tokenizer {tokenizer['sha256'][:16]}, {tokenizer['vocab_size']:,} tokens, engine {tokenizer['engine']}"
    )
    _show(out, f"  because {tokenizer['engine_reason']}")
    for note in manifest.get("notes", ()):
        _show(out, f"note: {note}")
    columns = ", ".join(f"{column['name']}: {column['type']}" for column in manifest["schema"])
    _show(out, f"columns {columns}")
    out.print()
    out.print(summary.bucket_table(manifest))
    out.print()
    out.print(summary.totals_table(manifest))
    for row in found["rows"]:
        out.print()
        out.print(spell_row(row), markup=False, soft_wrap=True)


def runs_command(args: argparse.Namespace, rest: list[str]) -> int:
    """Lists runs: `oblong runs`."""
    from pipeline.generations import list_runs

    reach_files(rest)
    rows = list_runs(args.output)
    if args.json:
        show_json({"runs": rows})
        return DONE
    names = ("run_id", "status", "created", "generation", "rows", "tokens", "bytes")
    shown = [{**row, "created": row["created"] and row["created"][:19] + "Z"} for row in rows]
    _print_table(names, [[row[name] for name in names] for row in shown])
    return DONE


def gc_command(args: argparse.Namespace, rest: list[str]) -> int:
    """Shows and removes leftovers: `oblong gc`."""
    from pipeline.age import parse_age
    from pipeline.leftovers import find_leftovers, remove

    if args.keep_last is not None and args.keep_last < 1:
        raise ConfigError(f"--keep-last: {args.keep_last} is too small; it must be at least 1")
    reach_files(rest)
    found = []
    for leftover in find_leftovers(args.output, parse_age(args.older_than, "--older-than"), args.keep_last):
        if args.delete:
            remove(leftover)
        found.append(leftover)
    if args.json:
        show_json({"deleted": args.delete, "leftovers": [leftover._asdict() for leftover in found]})
        return DONE
    _print_table(("folder", "what it is", "bytes"), [[one.path, one.why, one.bytes] for one in found])
    size = sum(leftover.bytes for leftover in found)
    verb = "removed" if args.delete else "to be removed with --delete"
    show(f"{count(len(found), 'folder')}, {count(size, 'byte')} {verb}")
    return DONE


def _print_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from pipeline.summary import console

    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(names):
        is_number = any(isinstance(row[i], int) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        # As texts, since a path or `oblong[gcp]` is no markup.
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else printable(str(cell or "-"))) for cell in row))
    console().print(table, soft_wrap=True)


def demo_command(args: argparse.Namespace, rest: list[str]) -> int:
    """Makes the demo, and runs it if asked: `oblong demo`."""
    from pipeline.demo import make_demo

    if rest:
        raise ConfigError(f"{rest[0]}: not understood; see oblong demo --help")
    made = make_demo(args.folder)
    if not args.run:
        if args.json:
            show_json(made.__dict__)
        else:
            show(f"made {made.rows:,} rows, a tokenizer of {made.vocab_size:,} tokens and {made.config}")
            show(f"next: oblong run --config {made.config}")
        return DONE
    from pipeline.config import load_config
    from pipeline.inspection import first_rows, spell_row
    from pipeline.launch import run_job

    say(f"made {made.rows:,} rows and a tokenizer of {made.vocab_size:,} tokens in {made.folder}")
    started = time.monotonic()
    outcome = run_job(load_config(str(made.config)), say=say)
    _show_outcome(outcome, time.monotonic() - started, as_json=args.json)
    if not args.json and outcome.manifest is not None:
        for row in first_rows(outcome.folder, outcome.manifest, 1):
            show(f"\na row, decoded, beside its mask:\n{spell_row(row)}")
    return DONE
