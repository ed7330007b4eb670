import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

import transforms.shuffle
from transforms.arrays.identity import row_ids
from transforms.shuffle import GroupShards, load

OPTIONS = PipelineOptions(["--prism_location=disabled"])


def batch(file, numbers):
    positions = pa.array(numbers, pa.int64()).to_numpy()
    columns = {"row_id": row_ids(file, positions), "ids": pa.array([[n] * (n % 4) for n in numbers])}
    return pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])


# Rows of two files in one shard: their names stand in two dictionaries.
DEALT = [("b", batch("x", [1, 2])), ("a", batch("x", [3])), ("b", batch("y", [4, 5, 6]).slice(1))]


class Spell(beam.DoFn):
    """Spells a shard out in files of its own, which the test reads."""

    def __init__(self, folder):
        self._folder = folder

    def process(self, shard):
        stem, parts = shard
        rows = [str(row) for part in load(parts) for row in part.to_pylist()]
        with open(f"{self._folder}/{stem}", "w") as stream:  # noqa: PTH123 - runs in a worker
            stream.write("\n".join(sorted(rows)))


def grouped(dealt, folder, spill_dir):
    with beam.Pipeline(runner="DirectRunner", options=OPTIONS) as pipeline:
        elements = pipeline | beam.Create(dealt).with_output_types(tuple[str, pa.RecordBatch])
        _ = elements | GroupShards(spill_dir) | beam.ParDo(Spell(str(folder)))
    return {path.name: path.read_text().split("\n") for path in folder.iterdir()}


@pytest.fixture
def said(tmp_path):
    folder = tmp_path / "said"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("through", ["runner", "files"])
def test_rows_of_a_shard_come_together_whichever_way(said, tmp_path, through):
    found = grouped(DEALT, said, str(tmp_path / "spill") if through == "files" else None)
    expected = {"a": [], "b": []}
    for stem, part in DEALT:
        expected[stem] += [str(row) for row in part.to_pylist()]
    assert found == {stem: sorted(rows) for stem, rows in expected.items()}
    assert (tmp_path / "spill").exists() == (through == "files")


def test_rows_go_to_a_file_whenever_enough_of_them_wait(said, tmp_path, monkeypatch):
    monkeypatch.setattr(transforms.shuffle, "SPILL_BYTES", 1)
    found = grouped([("a", batch("x", [n])) for n in range(5)], said, str(tmp_path / "spill"))
    assert len(found["a"]) == 5
    assert len(list((tmp_path / "spill").iterdir())) == 5


def test_few_rows_of_many_shards_share_a_file(said, tmp_path):
    found = grouped([(f"s{n}", batch("x", [n])) for n in range(20)], said, str(tmp_path / "spill"))
    assert len(found) == 20
    # A bundle has a file; DirectRunner makes a few bundles of so few elements.
    assert len(list((tmp_path / "spill").iterdir())) <= 4


def test_no_rows_leave_no_folder(said, tmp_path):
    assert grouped([], said, str(tmp_path / "spill")) == {}
    assert not (tmp_path / "spill").exists()


def test_spilled_rows_are_views_of_their_file(said, tmp_path):
    large = batch("x", list(range(1000)))
    before = pa.total_allocated_bytes()
    path = tmp_path / "spilled"
    from transforms.coders import RecordBatchCoder

    encoded = RecordBatchCoder().encode(large)
    path.write_bytes(b"x" * 64 + encoded)
    (found,) = load([(str(path), 64, len(encoded))])
    assert found.equals(large)
    assert pa.total_allocated_bytes() - before < len(encoded)
