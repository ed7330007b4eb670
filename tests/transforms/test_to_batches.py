import apache_beam as beam
import pytest

from tests.transforms.beam_pipelines import run
from tests.transforms.conftest import COUNT, DEAD, ROWS
from transforms import ToBatches
from transforms.arrays.errors import ConfigError


def test_dicts_become_batches_of_texts_and_kept_columns(alone):
    rows = [row for batch in alone["read"] for row in batch.to_pylist()]
    assert all(batch.num_rows <= 16 for batch in alone["read"])
    assert {tuple(batch.schema.names) for batch in alone["read"]} == {("row_id", "text", "label")}
    found = sorted((row["text"], row["label"] or 0) for row in rows)
    assert found == sorted((row["text"], row["label"] or 0) for row in ROWS)


def test_dicts_that_cannot_be_used_are_dead_letters(alone):
    letters = [letter for batch in alone["letters"] for letter in batch.to_pylist()]
    assert sorted(letter["reason"] for letter in letters) == ["missing_column", "null_text", "wrong_type", "wrong_type"]


def test_every_dict_is_counted(alone):
    assert sum(counts.get("rows_read", 0) for counts in alone["counts"]) == COUNT + len(DEAD)


def test_first_dead_letter_fails_a_pipeline_that_did_not_ask_for_them(tmp_path):
    def build(pipeline):
        return {"rows": pipeline | beam.Create([{"text": None}]) | ToBatches()}

    with pytest.raises(Exception, match=r"null_text at .*to go on past such rows, ask for with_dead_letters"):
        run(build, tmp_path / "found")


def test_type_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"keep\.label: 'int' is not known; did you mean int64"):
        ToBatches(keep={"label": "int"})
