"""Shards read by our own reader and by others': the rows are the same in both formats, nulls included."""

import io
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import reading_back
from pipeline.reading_back import count_letters, place_of, read_batches, schema_of_manifest
from tests.pipeline.conftest import COLUMNS
from tests.runs import KEEP
from transforms.arrays.errors import JobError


@pytest.fixture(params=["pairs", "windows", "unpadded"])
def run(request):
    return request.getfixturevalue(request.param)


def as_tfrecord_has_it(row):
    """A row with its double as TFRecord keeps it: a 32-bit float."""
    return row if row.get("score") is None else row | {"score": float(np.float32(row["score"]))}


def same_shards(run):
    """Pairs of the two files that hold the same rows."""
    by_stem = {}
    for file in run.manifest["files"]:
        by_stem.setdefault(file["path"].split(".")[0], {})[file["format"]] = file
    return [(found["parquet"], found["tfrecord"]) for found in by_stem.values()]


def test_both_formats_hold_the_same_rows_in_the_same_order(run):
    shards = same_shards(run)
    assert sum(parquet["rows"] for parquet, _ in shards) == run.manifest["totals"]["rows_written"]
    for parquet, tfrecord in shards:
        rows, others = (
            [row for batch in read_batches(str(run.folder), file, run.manifest) for row in batch.to_pylist()]
            for file in (parquet, tfrecord)
        )
        assert others == [as_tfrecord_has_it(row) for row in rows]
        said = {"path", "format", "bytes", "crc32c"}
        assert {k: v for k, v in parquet.items() if k not in said} == {
            k: v for k, v in tfrecord.items() if k not in said
        }


def test_batches_have_the_schema_of_the_manifest(run):
    schema = schema_of_manifest(run.manifest)
    for file in run.manifest["files"]:
        assert all(batch.schema.equals(schema) for batch in read_batches(str(run.folder), file, run.manifest))


def test_rows_carry_their_kept_values_and_their_tokens(pairs, rows, corpus):
    kept = {}
    for path, some in (("a.jsonl", rows[:100]), ("b%231.jsonl", rows[100:])):
        at = 0
        lines = (corpus / path.replace("%23", "#")).read_bytes().splitlines(keepends=True)
        for row, line in zip(some, lines[: len(some)], strict=True):
            kept[f"{path}#{at}"] = row
            at += len(line)
    seen = 0
    for file in pairs.files("parquet"):
        for row in pq.read_table(pairs.folder / file["path"]).to_pylist():
            given = kept[row["row_id"]]
            assert {name: row[name] for name in KEEP} == {name: given[name] for name in KEEP}
            first, second = (min(len(given[name].split()), 45) for name in ("text", "other"))
            assert row["length"] == min(48, 3 + first + second) == sum(row["attention_mask"])
            start = [2] + ([4 + int(given["text"].split()[0][1:])] if first else [3])
            assert row["input_ids"][:2] == start
            seen += 1
    assert seen == len(rows)


def test_pandas_free_readers_of_parquet_agree_on_nulls(pairs, rows):
    table = pa.concat_tables(pq.read_table(pairs.folder / file["path"]) for file in pairs.files("parquet"))
    for name in KEEP:
        assert table[name].null_count == sum(row[name] is None for row in rows) > 0
    for name in COLUMNS:
        assert table[name].null_count == 0


def test_datasets_reads_the_same_rows(pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    paths = [str(pairs.folder / file["path"]) for file in pairs.files("parquet")]
    found = datasets.load_dataset("parquet", data_files=paths, split="train", cache_dir=str(tmp_path))
    expected = pa.concat_tables(pq.read_table(path) for path in paths)
    assert found.column_names == expected.column_names
    assert found.to_list() == expected.to_pylist()
    assert str(found.features["input_ids"].feature.dtype) == "int32"
    first = pairs.files("parquet")[0]
    some = found.select(range(min(first["rows_per_batch"], first["rows"]))).with_format("numpy")["input_ids"]
    assert np.asarray(some).ndim == 2  # the first rows of a file are one rectangle


def test_tensorflow_reads_the_same_rows(pairs, windows):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = pytest.importorskip("tensorflow")
    for run in (pairs, windows):
        for parquet, tfrecord in same_shards(run):
            gzip = "GZIP" if tfrecord["path"].endswith(".gz") else ""
            records = tf.data.TFRecordDataset(str(run.folder / tfrecord["path"]), compression_type=gzip)
            expected = pq.read_table(run.folder / parquet["path"]).to_pylist()
            found = [features(tf.train.Example.FromString(record.numpy())) for record in records]
            assert found == [flat(row) for row in expected]


def test_a_batch_of_tensorflow_is_a_tensor(windows):
    tf = pytest.importorskip("tensorflow")
    file = max(windows.files("tfrecord"), key=lambda file: file["rows"])
    spec = {
        "input_ids": tf.io.FixedLenFeature([file["width"]], tf.int64),
        "attention_mask": tf.io.FixedLenFeature([file["width"]], tf.int64),
        "row_id": tf.io.FixedLenFeature([], tf.string),
    }
    records = tf.data.TFRecordDataset(str(windows.folder / file["path"]), compression_type="GZIP")
    batches = list(records.batch(file["rows_per_batch"]).map(lambda some: tf.io.parse_example(some, spec)))
    assert len(batches) == file["batches"]
    assert all(batch["input_ids"].shape[1] == file["width"] for batch in batches)
    assert sum(int(tf.reduce_sum(batch["attention_mask"])) for batch in batches) == file["tokens"]


def features(example):
    """An Example as TensorFlow's own class parses it."""
    kinds = {name: feature.WhichOneof("kind") for name, feature in example.features.feature.items()}
    return {
        name: list(getattr(feature, kinds[name]).value) if kinds[name] else []
        for name, feature in example.features.feature.items()
    }


def flat(row):
    """A row as an Example has it: lists, bytes, 32-bit floats, and no nulls."""
    example = {}
    for name, value in row.items():
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        example[name] = [
            v.encode() if isinstance(v, str) else float(np.float32(v)) if isinstance(v, float) else v for v in values
        ]
    return example


@pytest.mark.parametrize("format_name", ["parquet", "tfrecord"])
def test_damaged_file_is_named(windows, tmp_path, format_name):
    run = windows.copy(tmp_path / "run")
    file = run.files(format_name)[0]
    path = run.folder / file["path"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(JobError, match=file["path"]):
        list(read_batches(str(run.folder), file, run.manifest))
    path.unlink()
    with pytest.raises(JobError, match=file["path"]):
        list(read_batches(str(run.folder), file, run.manifest))


def letter(**changes):
    """A line of a file of dead letters; None takes a key out."""
    fields = {"reason": "bad_json", "message": "é", "file": "a", "position": 3, "raw": "x"} | changes
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode() + b"\n"


@pytest.mark.parametrize("chunk", [1, 50, 4 << 20])
def test_dead_letters_are_counted_by_reason_wherever_a_stretch_ends(monkeypatch, chunk):
    monkeypatch.setattr(reading_back, "CHUNK", chunk)
    more = [letter(), letter(raw=None, raw_base64="/w=="), letter(reason="unfit", raw_truncated=True)]
    assert count_letters(io.BytesIO(b"".join(more)), "d") == {"bad_json": 2, "unfit": 1}
    assert count_letters(io.BytesIO(b""), "d") == {}


@pytest.mark.parametrize(
    "line",
    [
        letter(reason=None),
        letter(raw=None),
        letter(raw_base64=""),
        letter(position="3"),
        letter(more=1),
        b"null\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_line_that_is_no_dead_letter_is_refused(line):
    with pytest.raises(JobError, match=r"^d: holds a line that is no dead letter: "):
        count_letters(io.BytesIO(letter() + line), "d")


def test_file_of_dead_letters_that_ends_in_a_line_is_refused(monkeypatch):
    with pytest.raises(JobError, match=r"^d: its last line does not end$"):
        count_letters(io.BytesIO(letter()[:-1]), "d")
    monkeypatch.setattr(reading_back, "LONGEST_LETTER", 100)
    with pytest.raises(JobError, match=r"^d: holds a line of more than 100 bytes$"):
        count_letters(io.BytesIO(letter(raw="x" * 200)[:-1]), "d")


def test_link_that_stays_in_the_run_is_followed_and_no_other(tmp_path):
    (tmp_path / "run" / "a").mkdir(parents=True)
    (tmp_path / "run" / "a" / "file").write_text("x")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "run" / "inside").symlink_to(tmp_path / "run" / "a" / "file")
    (tmp_path / "run" / "outside").symlink_to(tmp_path / "secret")
    (tmp_path / "moved").symlink_to(tmp_path / "run")
    for folder in (tmp_path / "run", tmp_path / "moved"):
        assert place_of(str(folder), "inside") == f"{folder}/inside"
        assert place_of(str(folder), "a/file") == f"{folder}/a/file"
        with pytest.raises(JobError, match=r"^outside: is a link that leads out of the run; it was not read$"):
            place_of(str(folder), "outside")


def test_format_that_is_not_known_is_named(pairs):
    with pytest.raises(JobError, match="x: cannot be read: no format 'csv' is known here"):
        list(read_batches(str(pairs.folder), {"path": "x", "format": "csv"}, pairs.manifest))


@pytest.mark.parametrize("format_name", ["parquet", "tfrecord"])
def test_byte_that_changed_anywhere_is_an_error_with_the_name_or_a_row(windows, tmp_path, format_name):
    """Without the checksum of the whole file, which verify compares first, nothing but these two may happen."""
    run = windows.copy(tmp_path / "run")
    file = run.files(format_name)[0]
    path = run.folder / file["path"]
    data = path.read_bytes()
    refused = 0
    for at in range(0, len(data), max(1, len(data) // 150)):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert sum(batch.num_rows for batch in read_batches(str(run.folder), file, run.manifest)) > 0
        except JobError as error:
            refused += file["path"] in str(error)
    assert refused > 20
