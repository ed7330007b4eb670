"""What every step has in common: rows go on, dead letters and counts come out beside them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

import transforms.coders  # noqa: F401 - registers the coder that batches need
from transforms.arrays.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEAD, COUNTS = "dead_letters", "counts"

Counts = dict[str, int]

StepType = TypeVar("StepType", bound="Step")


class Outputs(NamedTuple):
    """What a step gives when its dead letters are asked for.

    Attributes:
        rows: PCollection of RecordBatches.
        dead_letters: PCollection of RecordBatches of `dead_letters.SCHEMA`.
        counts: PCollection of dicts of numbers, to be added up.
    """

    rows: Any
    dead_letters: Any
    counts: Any


class Step(beam.PTransform):
    """A transform from batches to batches that may meet rows it cannot use.

    By itself it gives its rows, and the first dead letter fails the job, so that none is lost unseen.
    After `with_dead_letters()` it gives `Outputs`.
    """

    _asked = False

    def dofn(self) -> beam.DoFn:
        """Makes the DoFn that does the step's work, one batch at a time.

        Returns:
            A DoFn that yields RecordBatches, and dead letters and counts by `dead` and `counts`; it keeps nothing
            from one element to the next that its output depends on, and needs no `start_bundle`, `finish_bundle`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no DoFn of its own")

    def expand(self, rows: Any) -> Any:
        """Does the step's work on each batch."""
        return self.apply_dofn(rows, self.dofn())

    def with_dead_letters(self: StepType) -> StepType:
        """Asks for dead letters and counts beside the rows.

        Returns:
            A transform that gives `Outputs`.
        """
        step = copy.copy(self)
        step._asked = True
        return step

    def apply_dofn(self, rows: Any, dofn: beam.DoFn) -> Any:
        """Runs the step's DoFn.

        Args:
            rows: Its input.
            dofn: Yields RecordBatches, and dead letters and counts by `dead` and `counts`.

        Returns:
            The rows, or `Outputs` where dead letters were asked for.
        """
        pardo = beam.ParDo(dofn).with_output_types(pa.RecordBatch, **{DEAD: pa.RecordBatch, COUNTS: dict[str, int]})
        outputs = rows | pardo.with_outputs(DEAD, COUNTS, main="rows")
        if self._asked:
            return Outputs(outputs.rows, outputs[DEAD], outputs[COUNTS])
        _ = outputs[DEAD] | "FailOnDeadLetters" >> beam.Map(_fail)
        return outputs.rows


def dead(batch: Any) -> Iterator[TaggedOutput]:
    """Sends dead letters out beside the rows, if there are any."""
    if batch.num_rows:
        yield TaggedOutput(DEAD, batch)


def counts(**numbers: int) -> Iterator[TaggedOutput]:
    """Sends numbers out beside the rows, those that are not 0."""
    some = {name.replace("__", "."): number for name, number in numbers.items() if number}
    if some:
        yield TaggedOutput(COUNTS, some)


def _fail(batch: Any) -> None:
    first = batch.slice(0, 1).to_pylist()[0]
    raise JobError(
        f"{first['reason']} at {first['file']}#{first['position']}: {first['message']}; "
        "to go on past such rows, ask for with_dead_letters()"
    )
