"""The plot: time against size and memory against size, a column for each kind of tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.tokenizer_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.figures import Figure
    from benchmarks.plan import Plan


def plot(plan: Plan, found: Sequence[Figure], path: Path) -> None:
    """Draws the figures of the first corpus; what was scaled from a part is hollow, and only its time is drawn.

    Args:
        plan: What was compared.
        found: Its figures.
        path: An SVG file.
    """
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "oblong", "font.size": 9}):  # the same figures give the same file
        figure, axes = plt.subplots(
            2, len(plan.kinds), figsize=(max(9, 4 * len(plan.kinds)), 8), sharex=True, sharey="row", squeeze=False
        )
        for column, kind in enumerate(plan.kinds):
            axes[0, column].set_title(KINDS[kind].title)
            for name in plan.contestants:
                for format_name in CONTESTANTS[name].formats:
                    _line(axes[:, column], found, (plan.corpora[0], kind, name, format_name))
            axes[1, column].set_xlabel("MB of text")
        for row, (label, scale) in enumerate((("seconds", "log"), ("peak memory, MB", "linear"))):
            axes[row, 0].set_ylabel(label)
            axes[row, 0].set(yscale=scale)
            axes[row, 0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            for one in axes[row]:
                one.set(xscale="log")
                one.set_xticks(plan.sizes, [f"{size:g}" for size in plan.sizes], minor=False)
                one.set_xticks([], minor=True)
                one.grid(True, alpha=0.3)
        axes[1, 0].set_ylim(bottom=0)
        # Lines of all columns together: gigatoken is in one alone.
        handles = {label: h for one in axes[0] for h, label in zip(*one.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles, loc="lower center", ncols=3, fontsize=8)
        figure.tight_layout(rect=(0, 0.12, 1, 1))
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _line(axes: Any, found: Sequence[Figure], line: tuple[str, str, str, str]) -> None:
    points = sorted(
        (one for one in found if (one.case.corpus, one.case.kind, one.case.contestant, one.case.format) == line),
        key=lambda one: one.case.megabytes,
    )
    if not points:
        return
    _, _, name, format_name = line
    who = CONTESTANTS[name]
    color = f"C{list(CONTESTANTS).index(name) % 10}"
    style = "--" if format_name == "tfrecord" else "-"
    label = who.title + (f", {format_name}" if format_name in who.formats[1:] else "")
    sizes = [one.case.megabytes for one in points]
    axes[0].plot(sizes, [one.seconds for one in points], style, color=color, label=label)
    for one in points:
        axes[0].plot(one.case.megabytes, one.seconds, "o", color=color, mfc="none" if one.timed_on else color, ms=4)
    timed = [one for one in points if one.timed_on is None]
    memory = [one.memory / 1e6 for one in timed]
    axes[1].plot([one.case.megabytes for one in timed], memory, f"o{style}", color=color, ms=4)
