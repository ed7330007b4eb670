import apache_beam as beam
import pyarrow as pa
import pytest

from tests.transforms.beam_pipelines import run
from transforms.arrays.dead_letters import DeadLetters
from transforms.arrays.errors import JobError
from transforms.step import Outputs, Step, counts, dead


class Halve(Step):
    """Halves even numbers; odd ones are dead letters."""

    def expand(self, batches):
        return self.apply_dofn(batches, _Halve())


class _Halve(beam.DoFn):
    def process(self, batch):
        letters = DeadLetters()
        good = []
        for number in batch.column("n").to_pylist():
            if number % 2:
                letters.add("unfit", f"{number} is odd", "numbers.txt", number, b"%d" % number)
            else:
                good.append(number // 2)
        yield from dead(letters.to_batch())
        yield from counts(rows_read=batch.num_rows, dropped__empty=0, dropped__unfit=len(letters))
        yield pa.record_batch({"n": good})


def batches(pipeline, *numbers):
    return pipeline | beam.Create([pa.record_batch({"n": list(numbers)})])


def test_rows_come_out_where_no_row_is_lost(tmp_path):
    found = run(lambda pipeline: {"rows": batches(pipeline, 2, 4) | Halve()}, tmp_path)
    assert [batch.to_pydict() for batch in found["rows"]] == [{"n": [1, 2]}]


def test_first_dead_letter_fails_the_job_and_says_how_to_go_on(tmp_path):
    with pytest.raises(JobError) as caught:
        run(lambda pipeline: {"rows": batches(pipeline, 2, 3, 5) | Halve()}, tmp_path)
    says = "unfit at numbers.txt#3: 3 is odd; to go on past such rows, ask for with_dead_letters()"
    assert says in str(caught.value)


def test_dead_letters_and_counts_come_out_beside_the_rows_when_asked_for(tmp_path):
    def build(pipeline):
        outputs = batches(pipeline, 2, 3, 4, 5) | Halve().with_dead_letters()
        assert isinstance(outputs, Outputs)
        assert [outputs.rows.element_type, outputs.dead_letters.element_type] == [pa.RecordBatch, pa.RecordBatch]
        return outputs._asdict()

    found = run(build, tmp_path)
    assert [batch.to_pydict() for batch in found["rows"]] == [{"n": [1, 2]}]
    (letters,) = found["dead_letters"]
    assert [(row["reason"], row["position"], row["raw"]) for row in letters.to_pylist()] == [
        ("unfit", 3, b"3"),
        ("unfit", 5, b"5"),
    ]
    assert found["counts"] == [{"rows_read": 4, "dropped.unfit": 2}]


def test_asking_changes_nothing_about_the_step_that_was_asked():
    step = Halve()
    asked = step.with_dead_letters()
    pipeline = beam.Pipeline()
    numbers = batches(pipeline, 2)
    assert isinstance(numbers | "asked" >> asked, Outputs)
    assert isinstance(numbers | "plain" >> step, beam.PCollection)


def test_nothing_is_sent_where_there_is_nothing_to_say():
    assert list(dead(DeadLetters().to_batch())) == []
    assert list(counts(rows_read=0)) == []
