"""Runs the cases of a plan, one at a time and interleaved, and checks every output before its time counts."""

from __future__ import annotations

import os
import random
import shutil
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import agreement
from benchmarks.contestants import CALLS, CONTESTANTS, ROOT, start_command
from benchmarks.corpus import MB, make_corpus
from benchmarks.errors import BenchmarkError
from benchmarks.job import Job
from benchmarks.measure import measure
from benchmarks.read_back import read_back
from benchmarks.tokenizer_kinds import MAX_LENGTH, make_tokenizer, pad_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.corpus import Corpus, Source
    from benchmarks.plan import Case, Plan

LARGE = 100  # MB: corpora above this are not kept
TRAINING = 4  # MB of texts that tokenizers are trained on
DISK = 4.5  # times the largest corpus: itself, what is spilled, the shards
LOG_LINES = 15


class Measurement(NamedTuple):
    """One case, timed once.

    Attributes:
        case: What was timed.
        bytes: Of the corpus.
        rows: Of the corpus and of the output.
        checked: Rows compared one by one with `tokenizers`; the others with the first output.
        tokens: Without padding.
        cells: Tokens and padding.
        output_bytes: Of the shards.
        seconds: The whole process, from start to exit.
        cpu: CPU seconds of it and all that it started.
        memory: Peak of all of them together, bytes.
        processes: The most there were at once.
        calls: Seconds of encode calls alone, of one that only encodes.
    """

    case: Case
    bytes: int
    rows: int
    checked: int
    tokens: int
    cells: int
    output_bytes: int
    seconds: float
    cpu: float
    memory: int
    processes: int
    calls: float | None


class Run(NamedTuple):
    """All that was measured.

    Attributes:
        corpora: Made or found.
        tokenizers: Folder of each kind.
        measurements: In the order they were made.
        missing: Packages that a contestant would have needed, by contestant.
    """

    corpora: list[Corpus]
    tokenizers: dict[str, Path]
    measurements: list[Measurement]
    missing: dict[str, list[str]]


def say(text: str) -> None:
    """Tells how far it is; no times, since nothing is compared yet."""
    print(f"benchmark: {text}", file=sys.stderr, flush=True)


def run(plan: Plan, texts: Mapping[str, Source], work: Path, repeat: int, vocabulary: int, keep: bool = False) -> Run:
    """Runs a plan.

    Args:
        plan: What is compared.
        texts: What the documents of each corpus come from.
        work: A folder for corpora, tokenizers and what is made on the way.
        repeat: How often each case is timed.
        vocabulary: Tokens of a trained tokenizer.
        keep: Whether large corpora stay.

    Returns:
        What was measured.

    Raises:
        BenchmarkError: Too little disk, a contestant failed, or an output is not the right one.
    """
    missing = {name: CONTESTANTS[name].missing() for name in plan.contestants}
    plan = plan._replace(contestants=[name for name in plan.contestants if not missing[name]])
    _check_disk(plan, work)
    corpora: dict[tuple[str, float], Corpus] = {}
    for name, size in plan.corpus_sizes():
        say(f"corpus {name}, {size:g} MB")
        corpora[name, size] = make_corpus(name, size, work, texts[name])
    tokenizers = {kind: _tokenizer(kind, plan, texts, work, vocabulary) for kind in plan.kinds}
    try:
        measurements = _Rounds(plan, corpora, tokenizers, work / "run").all(repeat)
    finally:
        shutil.rmtree(work / "run", ignore_errors=True)
        for corpus in corpora.values():
            if corpus.megabytes > LARGE and not keep:
                shutil.rmtree(corpus.folder, ignore_errors=True)
    return Run(list(corpora.values()), tokenizers, measurements, {k: v for k, v in missing.items() if v})


def _check_disk(plan: Plan, work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    need, free = (sum(plan.sizes) + (DISK - 1) * plan.sizes[-1]) * MB, shutil.disk_usage(work).free
    if free < need:
        raise BenchmarkError(
            f"{work}: {free / 1e9:.1f} GB free, {need / 1e9:.1f} GB needed for {plan.sizes[-1]:g} MB of text; "
            "name another folder with --work, or smaller --sizes"
        )


def _tokenizer(kind: str, plan: Plan, texts: Mapping[str, Source], work: Path, vocabulary: int) -> Path:
    megabytes = min(TRAINING, plan.sizes[-1])

    def training() -> Iterator[str]:
        for name in plan.corpora:
            yield from _first(texts[name].texts(), megabytes * MB / len(plan.corpora))

    say(f"tokenizer {kind}")
    trained_on = "-".join(f"{name}-{texts[name].recipe}" for name in plan.corpora)
    return make_tokenizer(kind, work / "tokenizers" / f"{trained_on}-{megabytes:g}MB", training, vocabulary)


def _first(texts: Iterator[str], characters: float) -> Iterator[str]:
    """The first texts, so many characters of them."""
    for text in texts:
        yield text
        characters -= len(text)
        if characters <= 0:
            return


class _Rounds:
    """Runs cases, each after the other, in an order that favours nobody."""

    def __init__(
        self,
        plan: Plan,
        corpora: Mapping[tuple[str, float], Corpus],
        tokenizers: Mapping[str, Path],
        folder: Path,
    ) -> None:
        self._plan, self._corpora, self._tokenizers, self._folder = plan, corpora, tokenizers, folder
        self._agreements: dict[tuple[str, float, str], agreement.Agreement] = {}

    def all(self, repeat: int) -> list[Measurement]:
        """Times every case so often."""
        found = []
        for around in range(repeat):
            cases = list(self._plan.cases())
            random.Random(around).shuffle(cases)
            cases.sort(key=lambda case: (case.megabytes, case.corpus, case.kind))  # stable: contestants stay mixed
            for number, case in enumerate(cases, around * len(cases) + 1):
                found.append(self._one(case))
                say(f"{number} of {repeat * len(cases)}: {case}: agrees")
        return found

    def _one(self, case: Case) -> Measurement:
        shutil.rmtree(self._folder / "case", ignore_errors=True)
        output, scratch = self._folder / "case" / "output", self._folder / "case" / "scratch"
        output.mkdir(parents=True)
        scratch.mkdir()
        corpus, tokenizer = self._corpora[case.corpus, case.megabytes], self._tokenizers[case.kind]
        job = Job(
            files=tuple(map(str, corpus.files)),
            tokenizer=str(tokenizer),
            pad_id=pad_id(tokenizer),
            max_length=MAX_LENGTH,
            format=case.format,
            output=str(output),
            scratch=str(scratch),
            workers=CONTESTANTS[case.contestant].workers,
        )
        job.save(scratch / "job.json")
        command, log = start_command(case.contestant, job, scratch / "job.json"), scratch / "log.txt"
        usage = measure(command, log, _environment(scratch), scratch)
        if usage.code:
            last = "\n".join(log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
            raise BenchmarkError(f"{case}: it left with exit code {usage.code}; the end of what it said:\n{last}")
        calls = scratch / CALLS
        size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
        verdict = self._agreement(case).check(str(case), read_back(output, case.format, job.pad_id))
        return Measurement(
            case,
            corpus.bytes,
            *verdict,
            size,
            *usage[1:],
            float(calls.read_text()) if calls.exists() else None,
        )

    def _agreement(self, case: Case) -> agreement.Agreement:
        key = (case.corpus, case.megabytes, case.kind)
        if key not in self._agreements:
            # The reference covers the part that everybody is timed on, which is the beginning of every size.
            part = max(one for one in self._corpora.values() if one.name == case.corpus and self._is_part(one))
            expected = agreement.reference(
                tuple(map(str, part.files)),
                self._tokenizers[case.kind],
                MAX_LENGTH,
                part.rows,
                self._folder / f"reference-{case.corpus}-{case.kind}",
            )
            rows = self._corpora[case.corpus, case.megabytes].rows
            self._agreements[key] = agreement.Agreement(expected, rows)
        return self._agreements[key]

    def _is_part(self, corpus: Corpus) -> bool:
        return corpus.megabytes <= max(self._plan.part, self._plan.sizes[0])


def _environment(scratch: Path) -> dict[str, str]:
    """The user's environment, where downloads are off and nobody's number of threads is set for him."""
    kept = {key: value for key, value in os.environ.items() if key != "TOKENIZERS_PARALLELISM"}
    return kept | {
        "PYTHONPATH": os.pathsep.join(islice(filter(None, (str(ROOT), kept.get("PYTHONPATH"))), 2)),
        "HF_HOME": str(scratch / "hf"),
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
