"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.contestants import CONTESTANTS, FORMATS, ROOT
from benchmarks.corpus import sources
from benchmarks.errors import BenchmarkError
from benchmarks.plan import Plan
from benchmarks.run import run, say
from benchmarks.tokenizer_kinds import KINDS, VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Sequence

CORPORA = ("prose", "code")

EPILOG = """examples:
  make bench                                              the default: some ten minutes on two cores
  make bench ARGS='--full'                                up to 8 GB: an hour or two, and 40 GB of free disk
  make bench ARGS='--sizes 8 --tokenizers bpe'            a quick look at one tokenizer
  make bench ARGS='--corpus texts/ --sizes 100'           your own: *.jsonl with "text", or plain lines
  make bench ARGS='--contestants oblong tokenizers'       these two alone

Nothing is timed for good before its output was compared with that of the library tokenizers, row by row.
Exit codes: 0 done, 1 a contestant failed or an output differs, 2 wrong usage.
"""


def _sizes(text: str) -> list[float]:
    sizes = sorted({float(size) for size in text.split(",")})
    if sizes[0] <= 0:
        raise ValueError(text)
    return sizes


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


SWITCHES = {
    "--full": "sizes 80, 800 and 8000 MB; rivals are timed on 80 MB",
    "--keep": "keep corpora above 100 MB for another run",
}

VALUES: dict[str, tuple[Any, str, Any, str]] = {
    "--sizes": (_sizes, "MB,MB", None, "sizes of the first corpus (default 8,80)"),
    "--part": (float, "MB", None, "what slow rivals are timed on at most (default: the smallest size)"),
    "--corpus": (Path, "PATH", None, "your own file or folder instead: *.jsonl with 'text', or plain lines"),
    "--repeat": (_positive, "N", 1, "how often each case is timed; the median counts (default 1)"),
    "--vocabulary": (_positive, "N", VOCABULARY, f"tokens of a trained tokenizer (default {VOCABULARY})"),
    "--work": (Path, "DIR", ROOT / "build" / "bench", "corpora, tokenizers and scratch (default build/bench)"),
    "--out": (Path, "DIR", None, "results (default benchmarks/results/quick; with --full, results/full)"),
}

CHOICES = {
    "--corpora": (CORPORA, "what to make; the first at all sizes, the second on the part (default: both)"),
    "--tokenizers": (tuple(KINDS), "kinds of tokenizers (default: all)"),
    "--contestants": (tuple(CONTESTANTS), "who takes part (default: all)"),
    "--formats": (FORMATS, "of the shards (default: both)"),
}


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Times Oblong against what a user would pick instead: the same rows, a table and a plot.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    for option, text in SWITCHES.items():
        add(option, action="store_true", help=text)
    for option, (kind, metavar, default, text) in VALUES.items():
        add(option, type=kind, metavar=metavar, default=default, help=text)
    for option, (choices, text) in CHOICES.items():
        add(option, nargs="+", choices=choices, default=list(choices), help=text)
    return parser


def _command(options: argparse.Namespace) -> str:
    """What was asked for, without this machine's folders.

    >>> _command(make_parser().parse_args(["--sizes", "8", "--work", "/data", "--tokenizers", "bpe"]))
    "make bench ARGS='--sizes 8 --tokenizers bpe'"
    """
    told, parser = [], make_parser()
    for option in (*SWITCHES, *VALUES, *CHOICES):
        name = option.removeprefix("--")
        value = getattr(options, name)
        if value != parser.get_default(name) and name not in ("work", "out"):
            told.append(option if value is True else f"{option} {_spell(value)}")
    return f"make bench ARGS='{' '.join(told)}'" if told else "make bench"


def _spell(value: Any) -> str:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, list):
        return (" " if isinstance(value[0], str) else ",").join(_spell(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark.

    Args:
        arguments: Without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    options = make_parser().parse_args(arguments)
    work = options.work.resolve()
    sizes = options.sizes or ([80, 800, 8000] if options.full else [8, 80])
    part = options.part or sizes[0]
    out = options.out or ROOT / "benchmarks" / "results" / ("full" if options.full else "quick")
    if options.corpus is not None and not options.corpus.exists():
        say(f"--corpus: {options.corpus} is not there")
        return 2
    texts = sources(options.corpora, options.corpus, work)
    plan = Plan(list(texts), sizes, part, options.tokenizers, options.contestants, options.formats)
    try:
        found = run(plan, texts, work, options.repeat, options.vocabulary, options.keep)
        page = report.write(plan, found, out, _command(options))
    except BenchmarkError as error:
        say(str(error))
        return 1
    print(page)
    say(f"written: {out}/{report.PAGE}, {report.RAW}, {report.PLOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
