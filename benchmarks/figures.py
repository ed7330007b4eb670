"""From measurements to figures: medians of repeats, and what a part says of the whole."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.contestants import CONTESTANTS
from benchmarks.corpus import MB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.plan import Case, Plan
    from benchmarks.run import Measurement


class Figure(NamedTuple):
    """What a case takes at some size.

    Attributes:
        case: The case at that size.
        seconds: The whole process, or the encode calls alone of one that only encodes.
        cpu: CPU seconds, all processes.
        memory: Peak memory of all processes, bytes, at the size that was timed.
        bytes: Of the corpus.
        tokens: Without padding; scaled where the time is.
        timed_on: The size in MB that was timed, where it is a part.
    """

    case: Case
    seconds: float
    cpu: float
    memory: int
    bytes: int
    tokens: int
    timed_on: float | None = None


def seconds_of(measurement: Measurement) -> float:
    """The whole process, or the encode calls alone of one that only encodes."""
    return measurement.seconds if measurement.calls is None else measurement.calls


def line(points: Sequence[tuple[float, float]], at: float) -> float:
    """Continues a line through the last two points; one from nothing where there is one point, or it would fall.

    Args:
        points: Sizes and what was measured there, by rising size.
        at: A size behind them.

    Returns:
        The value there.

    >>> line([(1, 3), (2, 4)], 10), line([(2, 4)], 10), line([(1, 5), (2, 4)], 10)
    (12.0, 20.0, 20.0)
    """
    (size, value) = points[-1]
    slope = value / size
    if len(points) > 1 and points[-2][1] < value:
        slope = (value - points[-2][1]) / (size - points[-2][0])
    return value + slope * (at - size)


def figure_of(measurements: Sequence[Measurement]) -> Figure:
    """Sums repeats of a case up: medians, and the highest memory."""
    first = measurements[0]
    return Figure(
        first.case,
        median(map(seconds_of, measurements)),
        median(one.cpu for one in measurements),
        max(one.memory for one in measurements),
        first.bytes,
        first.tokens,
    )


def scale(timed: Sequence[Figure], megabytes: float, size: int) -> Figure:
    """Says what a contestant would take for a size, from the smaller ones that it was timed at.

    Args:
        timed: Its figures by rising size.
        megabytes: The size.
        size: The same in bytes.

    Returns:
        A figure with the memory of the largest size that was timed.
    """
    last = timed[-1]
    if CONTESTANTS[last.case.contestant].bare:
        timed = timed[-1:]  # the calls alone have no start
    return last._replace(
        case=last.case._replace(megabytes=megabytes),
        seconds=line([(one.bytes, one.seconds) for one in timed], size),
        cpu=line([(one.bytes, one.cpu) for one in timed], size),
        bytes=size,
        tokens=round(last.tokens * size / last.bytes),
        timed_on=last.case.megabytes,
    )


def figures(plan: Plan, measurements: Iterable[Measurement], sizes: dict[tuple[str, float], int]) -> list[Figure]:
    """Makes the figures of a plan: every contestant at each size that anybody was timed at.

    Args:
        plan: What was compared.
        measurements: What was measured.
        sizes: Bytes of each corpus that was made, by name and MB.

    Returns:
        A figure for each measured case, and for each size that a slow contestant was not timed at one from its
        largest part.
    """
    by_case: dict[Case, list[Measurement]] = {}
    for one in measurements:
        by_case.setdefault(one.case, []).append(one)
    found = sorted(map(figure_of, by_case.values()), key=lambda figure: figure.case.megabytes)
    lines: dict[Case, list[Figure]] = {}
    for figure in found:
        if figure.case.corpus == plan.corpora[0] and CONTESTANTS[figure.case.contestant].slow:
            lines.setdefault(figure.case._replace(megabytes=0), []).append(figure)
    for timed in lines.values():
        larger = [size for size in plan.sizes if size > timed[-1].case.megabytes]
        corpus = plan.corpora[0]
        found += [scale(timed, size, sizes.get((corpus, size), round(size * MB))) for size in larger]
    return found


def find(found: Sequence[Figure], *case: Any) -> Figure | None:
    """The figure of one case, named by its fields, if there is one."""
    return next((figure for figure in found if figure.case == case), None)
