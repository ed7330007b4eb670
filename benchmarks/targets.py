"""What Oblong wants to reach, as ratios of one run, and how far it got."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.contestants import NO_OUTPUT
from benchmarks.figures import find
from benchmarks.tokenizer_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figures import Figure
    from benchmarks.plan import Plan

TFRECORD, WORKERS, MEMORY, GROWTH, LINEAR = 1.5, 1.7, 2e9, 1.25, 0.15


class Target(NamedTuple):
    """One of the things to reach.

    Attributes:
        what: What is compared, and where.
        bound: The value to reach.
        least: Whether to reach at least that, else at most.
        reached: The value of this run; None where it was not measured.
        unit: Behind the numbers.
    """

    what: str
    bound: float
    least: bool
    reached: float | None
    unit: str = "times"

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None where nobody knows."""
        if self.reached is None:
            return None
        return self.reached >= self.bound if self.least else self.reached <= self.bound

    def row(self) -> str:
        """A row of the table."""
        wanted = f"{'at least' if self.least else 'at most'} {self.bound:g} {self.unit}"
        if self.reached is None:
            return f"| {self.what} | {wanted} | not measured | |"
        return f"| {self.what} | {wanted} | {self.reached:.3g} {self.unit} | {'yes' if self.met else 'no'} |"


def ratio(of: Figure | None, to: Figure | None) -> float | None:
    """How many times the seconds of the one are those of the other."""
    return of.seconds / to.seconds if of and to else None


def nonlinearity(points: Sequence[tuple[float, float]]) -> float | None:
    """How much more, or less, a further byte takes in a large corpus than in a small one.

    The start of a job is no matter: it cancels out.

    Args:
        points: Sizes and seconds, by rising size; at least three.

    Returns:
        The largest of the marginal costs between neighbours over the smallest, less 1; None for fewer points.

    >>> nonlinearity([(1, 3), (2, 4), (10, 12)])
    0.0
    """
    if len(points) < 3:
        return None
    costs = [(more - some) / (larger - size) for (size, some), (larger, more) in pairwise(points)]
    return max(costs) / min(costs) - 1 if min(costs) > 0 else float("inf")


def targets(plan: Plan, found: Sequence[Figure]) -> list[Target]:
    """Judges a run.

    Args:
        plan: What was compared.
        found: Its figures.

    Returns:
        Every target, those that this run says nothing of too.
    """
    return [target for kind in plan.kinds for target in _of_kind(kind, plan, found)]


def _of_kind(kind: str, plan: Plan, found: Sequence[Figure]) -> Iterator[Target]:
    corpus, size = plan.corpora[0], plan.side_size

    def get(contestant: str, format_name: str = "parquet", megabytes: float = size) -> Figure | None:
        return find(found, corpus, megabytes, kind, contestant, format_name)

    def fastest(*contestants: str) -> Figure | None:
        there = [figure for name in contestants if (figure := get(name))]
        return min(there, key=lambda figure: figure.seconds, default=None)

    job, at = get("oblong"), f"{kind}, {size:g} MB"
    bare, datasets, beam = KINDS[kind].targets
    yield Target(f"{at}: as fast as bare tokenizers", bare, True, ratio(get("tokenizers", NO_OUTPUT), job))
    better = ratio(fastest("datasets", "datasets-2"), job)
    yield Target(f"{at}: as fast as datasets, its better way", datasets, True, better)
    yield Target(f"{at}: as fast as Beam a row at a time", beam, True, ratio(get("beam"), job))
    yield Target(f"{at}: TFRecord's time against Parquet's", TFRECORD, False, ratio(get("oblong", "tfrecord"), job))
    yield Target(f"{at}: two workers as fast as one", WORKERS, True, ratio(get("oblong-1"), get("oblong-2")))
    jobs = [figure for megabytes in plan.sizes if (figure := get("oblong", megabytes=megabytes))]
    largest = get("oblong", megabytes=plan.sizes[-1])
    peak = max((figure.memory for figure in jobs), default=None)
    yield Target(f"{kind}, all sizes: peak memory", MEMORY / 1e9, False, peak / 1e9 if peak else None, "GB")
    grown = largest.memory / job.memory if job and largest and largest is not job else None
    yield Target(f"{kind}: memory at {_behind(plan)} against {size:g} MB", GROWTH, False, grown)
    bent = nonlinearity([(figure.bytes, figure.seconds) for figure in jobs])
    sizes = f"{plan.sizes[0]:g} to {plan.sizes[-1]:g} MB"
    yield Target(f"{kind}, {sizes}: time a byte, off a straight line", LINEAR * 100, False, bent and bent * 100, "%")


def _behind(plan: Plan) -> str:
    return f"{plan.sizes[-1]:g} MB" if plan.sizes[-1] > plan.side_size else "a larger size"
