"""The results as a page of tables, as JSON and as a plot."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from benchmarks.contestants import CONTESTANTS, NO_OUTPUT
from benchmarks.corpus import growth
from benchmarks.figures import figures, find
from benchmarks.machine import machine, versions
from benchmarks.plot import plot
from benchmarks.targets import targets
from benchmarks.tokenizer_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.figures import Figure
    from benchmarks.plan import Plan
    from benchmarks.run import Run
    from benchmarks.targets import Target

PAGE, RAW, PLOT = "table.md", "raw.json", "plot.svg"

ABOUT = """\
Every output was compared with what `tokenizers` itself gives before its time was looked at. `seconds` is the whole
process from start to exit, imports included; of those marked *calls* it is their encode calls alone. Memory is the
peak of the process and all that it starts, shared pages counted once; CPU is of all of them. Where it says *timed on*,
that part was timed, a smaller one too, and the line through the two continued; memory is that of the part.
"""


def write(plan: Plan, run: Run, folder: Path, command: str) -> str:
    """Writes the page, the raw figures and the plot.

    Args:
        plan: What was compared.
        run: What was measured.
        folder: Where to.
        command: What was asked for.

    Returns:
        The page.
    """
    found = figures(plan, run.measurements, {(one.name, one.megabytes): one.bytes for one in run.corpora})
    judged = targets(plan, found)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    folder.mkdir(parents=True, exist_ok=True)
    page = "\n".join(_page(plan, run, found, judged, now.date().isoformat(), command))
    (folder / PAGE).write_text(page, "utf-8")
    raw = _raw(run, found, judged) | {"made": now.isoformat(), "command": command}
    (folder / RAW).write_text(json.dumps(raw, indent=1), "utf-8")
    plot(plan, found, folder / PLOT)
    return page


def _page(plan: Plan, run: Run, found: list[Figure], judged: list[Target], date: str, command: str) -> Iterator[str]:
    yield f"# Benchmark of {date}\n"
    yield f"`{command}`\n"
    yield "".join(f"- {key}: {value}\n" for key, value in machine().items())
    yield f"With {', '.join(f'{key} {value}' for key, value in versions().items())}.\n"
    yield ABOUT
    yield "## Targets\n"
    yield f"They are meant for two cores and 800 MB; this run compares at {plan.side_size:g} MB.\n"
    yield "| what | wanted | reached | met |\n|---|---|---|---|"
    yield from (target.row() for target in judged)
    yield "\n## Corpora\n"
    yield from _corpora(run)
    yield f"\n![time and memory against size]({PLOT})\n"
    shown = [one.case for one in found if one.case.megabytes in plan.sizes or one.case.corpus != plan.corpora[0]]
    for key in sorted({(case.corpus, case.kind, case.megabytes) for case in shown}):
        yield f"## {KINDS[key[1]].title}: {key[0]}, {key[2]:g} MB\n"
        yield from _table(found, *key)
        yield ""
    for name, packages in run.missing.items():
        yield f"{CONTESTANTS[name].title}: not installed ({', '.join(packages)}).\n"


def _corpora(run: Run) -> Iterator[str]:
    yield "| corpus | rows | different words in the first MB | a MB in all | grow with words to the power |"
    yield "|---|---|---|---|---|"
    for corpus in run.corpora:
        (_, _, first), (characters, _, different) = corpus.words[0], corpus.words[-1]
        power, counted = growth(corpus.words), characters / 1e6
        yield (
            f"| {corpus.name}, {corpus.bytes / 1e6:.4g} MB | {corpus.rows:,} | {first:,} | "
            f"{different / counted:,.0f} (of {counted:.3g} MB) | {f'{power:.2f}' if power else '-'} |"
        )


def _at(found: Sequence[Figure], corpus: str, kind: str, megabytes: float) -> list[Figure]:
    there = [one for one in found if (one.case.corpus, one.case.kind, one.case.megabytes) == (corpus, kind, megabytes)]
    return sorted(there, key=lambda figure: figure.seconds)


def _table(found: Sequence[Figure], corpus: str, kind: str, megabytes: float) -> Iterator[str]:
    job = find(found, corpus, megabytes, kind, "oblong", "parquet")
    yield "| | writes | seconds | times Oblong's | MB/s | million tokens/s | CPU seconds | memory, MB | |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for figure in _at(found, corpus, kind, megabytes):
        who = CONTESTANTS[figure.case.contestant]
        notes = ["calls"] if who.bare else []
        notes += [f"timed on {figure.timed_on:g} MB, scaled"] if figure.timed_on else []
        cells = (
            who.title,
            "nothing" if figure.case.format == NO_OUTPUT else figure.case.format,
            f"{figure.seconds:,.3g}" if figure.seconds < 100 else f"{figure.seconds:,.0f}",
            f"{figure.seconds / job.seconds:.3g}" if job else "-",
            f"{figure.bytes / 1e6 / figure.seconds:.3g}",
            f"{figure.tokens / 1e6 / figure.seconds:.3g}",
            f"{figure.cpu:,.1f}" if figure.cpu < 10 else f"{figure.cpu:,.0f}",
            f"{figure.memory / 1e6:,.0f}",
            "; ".join(notes),
        )
        yield f"| {' | '.join(cells)} |"


def _raw(run: Run, found: Sequence[Figure], judged: Sequence[Target]) -> dict[str, Any]:
    return {
        "machine": machine(),
        "versions": versions(),
        "corpora": [{k: v for k, v in one._asdict().items() if k != "folder"} for one in run.corpora],
        "tokenizers": {
            kind: hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
            for kind, folder in run.tokenizers.items()
        },
        "missing": run.missing,
        "targets": [target._asdict() | {"met": target.met} for target in judged],
        "figures": [figure._asdict() | {"case": figure.case._asdict()} for figure in found],
        "measurements": [one._asdict() | {"case": one.case._asdict()} for one in run.measurements],
    }
