import json

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that

from transforms.arrays.errors import StoreError
from transforms.arrays.readers import Format, Reading, Source
from transforms.inputs import Corpus, InputFile, Split, find_corpus
from transforms.read import ReadCorpus
from transforms.units import list_units, load_unit, units_of

UNITS = [
    (
        Split((Source("a/ä b.jsonl", "ä b.jsonl", 0, 9),), Format("jsonl", None), 9),
        {"a/ä b.jsonl": (20, None, 1763762422.1234567)},
    ),
    (
        Split((Source("x.csv.gz", "x.csv.gz"), Source("y.csv.gz", "y.csv.gz")), Format("csv", "gzip"), 3),
        {"x.csv.gz": (1, "etag", 0.1), "y.csv.gz": (2, None, 0.0)},
    ),
]


def written(tmp_path, units):
    listed, content = list_units(units, str(tmp_path / "units.jsonl"))
    (tmp_path / "units.jsonl").write_bytes(content)
    return listed


def test_units_are_read_back_one_by_one_as_they_were(tmp_path):
    listed = written(tmp_path, UNITS)
    assert [load_unit(listed.path, place) for place in listed.places] == UNITS
    assert load_unit(listed.path, listed.places[1]) == UNITS[1]


def test_list_is_a_line_of_json_for_each_unit(tmp_path):
    written(tmp_path, UNITS)
    lines = (tmp_path / "units.jsonl").read_text("utf-8").splitlines()
    assert [list(json.loads(line)[1]) for line in lines] == [list(known) for _, known in UNITS]


def test_list_that_is_gone_is_told(tmp_path):
    with pytest.raises(StoreError, match=f"^{tmp_path}/none cannot be read: No such file or directory; it was removed"):
        load_unit(f"{tmp_path}/none", (0, 9))


def test_no_units_make_an_empty_list(tmp_path):
    listed = written(tmp_path, [])
    assert listed.places == ()
    assert (tmp_path / "units.jsonl").read_bytes() == b""


def test_units_know_what_was_listed_of_their_own_files_alone():
    corpus = Corpus(tuple(InputFile(f"/in/{name}.txt", f"{name}.txt", 5, 7.5) for name in "abc"), {})
    units = units_of(corpus, Reading(split_bytes=10))
    known = (5, None, 7.5)
    assert [listed for _, listed in units] == [{"/in/a.txt": known, "/in/b.txt": known}, {"/in/c.txt": known}]


def test_listed_units_give_the_rows_that_units_in_the_pipeline_give(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("".join(f"{number} {row}\n" for row in range(50)))
    reading = Reading(files=[str(tmp_path / "*.txt")], split_bytes=100)
    corpus = find_corpus(reading)
    listed = written(tmp_path, units_of(corpus, reading))
    assert len(listed.places) > 3

    def are_the_same(rows):
        texts = [text for batch in rows for text in batch["text"].to_pylist()]
        assert sorted(texts) == sorted([f"{number} {row}" for number in range(3) for row in range(50)] * 2)

    with beam.Pipeline(options=PipelineOptions(["--prism_location=disabled"])) as pipeline:
        inside = pipeline | "Inside" >> ReadCorpus(reading, corpus)
        beside = pipeline | "Beside" >> ReadCorpus(reading, corpus, listed=listed)
        assert_that((inside, beside) | beam.Flatten(), are_the_same)
