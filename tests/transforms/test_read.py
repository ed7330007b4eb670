import bz2
import gzip
import io
import json
import lzma
import os
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from tests.changes import halve, replace, turn_into_a_folder, write_over
from tests.transforms.beam_pipelines import run
from transforms import ReadCorpus
from transforms.arrays.errors import JobError
from transforms.arrays.identity import ROW_ID
from transforms.arrays.readers import CODECS, Columns, Reading, Source, detect
from transforms.arrays.readers.lines import BLOCK_LINES
from transforms.inputs import Split, find_corpus
from transforms.progress import Progress
from transforms.read import BATCH_BYTES, BATCH_ROWS, read_source

COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def read(folder, reading, **options):
    """Runs ReadCorpus: rows by (file, position), batches, dead letters and the sum of the counts."""

    def build(pipeline):
        return (pipeline | ReadCorpus(reading, **options).with_dead_letters())._asdict()

    found = run(build, folder)
    rows = [row for batch in found["rows"] for row in batch.to_pylist()]
    by_place = {}
    for row in rows:
        place = row.pop("row_id")
        assert place["window"] == 0
        assert (place["file"], place["position"]) not in by_place
        by_place[place["file"], place["position"]] = row
    letters = sorted(
        (letter["file"], letter["position"], letter["reason"])
        for batch in found["dead_letters"]
        for letter in batch.to_pylist()
    )
    counts = sum((Counter(count) for count in found["counts"]), Counter())
    return by_place, found["rows"], letters, dict(counts)


def test_rows_are_the_same_whatever_the_work_is_divided_into(tmp_path):
    rng = random.Random(1)
    expected, dead, empty = {}, [], 0
    for name in ("a.jsonl", "b/c.jsonl", "d.jsonl"):
        data = b""
        for i in range(200):
            text = " ".join("word" for _ in range(rng.choice([0, 1, 5, 20])))
            line = json.dumps({"text": text, "n": i}).encode() + rng.choice([b"\n", b"\r\n"])
            if i % 50 == 7:
                line = b"{nonsense}\n"
                dead.append((name, len(data), "bad_json"))
            elif text:
                expected[name, len(data)] = {"text": text, "n": i}
            else:
                empty += 1
            data += line
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for split_bytes in (700, 64 << 20):
        reading = Reading(files=f"{tmp_path}/corpus/**", keep=("n",), empty="drop", split_bytes=split_bytes)
        rows, batches, letters, counts = read(tmp_path / str(split_bytes), reading)
        assert rows == expected
        assert letters == sorted(dead)
        assert counts == {"rows_read": 600, "dropped.empty": empty}
        assert batches[0].schema == pa.schema(
            [pa.field("row_id", ROW_ID), pa.field("text", pa.string()), pa.field("n", pa.int64())]
        )
        assert (len(batches) == 1) == (split_bytes > 1000)


def test_small_files_are_packed_into_few_batches_and_rows_keep_their_files(tmp_path):
    (tmp_path / "corpus").mkdir()
    for i in range(300):
        (tmp_path / "corpus" / f"{i}.txt").write_text(f"text {i}\n")
    rows, batches, letters, counts = read(tmp_path / "out", Reading(files=f"{tmp_path}/corpus/*.txt"))
    assert rows == {(f"{i}.txt", 0): {"text": f"text {i}"} for i in range(300)}
    assert len(batches) == 1
    assert letters == []
    assert counts == {"rows_read": 300}


def test_large_files_come_in_batches_that_stay_small(tmp_path):
    line = b"x" * 999 + b"\n"
    (tmp_path / "a.txt").write_bytes(line * 20_000)
    rows, batches, _, _ = read(tmp_path / "out", Reading(files=f"{tmp_path}/a.txt"))
    assert len(rows) == 20_000
    assert max(batch.nbytes for batch in batches) < 3 * BATCH_BYTES


def test_short_lines_come_in_batches_of_so_many_rows_and_are_noted_at_once(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\n" * 50_000)
    (tmp_path / "notes").mkdir()
    reading, progress = Reading(files=f"{tmp_path}/a.txt"), Progress(str(tmp_path / "notes"))
    rows, batches, _, counts = read(tmp_path / "out", reading, progress=progress)
    assert sorted(rows) == [("a.txt", 2 * i) for i in range(50_000)]
    assert sorted(batch.num_rows for batch in batches) == [50_000 - 6 * BATCH_ROWS] + [BATCH_ROWS] * 6
    assert counts == {"rows_read": 50_000}
    (notes,) = (tmp_path / "notes").iterdir()
    assert json.loads(notes.read_text().splitlines()[0]) == {"bytes": 100_000, "rows": BLOCK_LINES}
    assert progress.totals() == {"bytes": 100_000, "rows": 50_000}


def test_file_of_bad_lines_gives_its_letters_some_at_a_time(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"a\n" * 50_000)
    how = detect("a.jsonl")
    source = Source(f"{tmp_path}/a.jsonl", "a.jsonl")
    found = list(read_source(source, Split((source,), how, 0), Columns(("text",), {})))
    assert max(rows.dead.num_rows for rows in found) == BLOCK_LINES
    assert [x for rows in found for x in rows.dead["position"].to_pylist()] == list(range(0, 100_000, 2))


def test_formats_mix_and_progress_is_noted(tmp_path):
    table = pa.table({"text": ["p", None]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    files = {
        "a.txt": b"t\n",
        "b.jsonl": b'{"text": "j"}\n',
        "c.csv": b"n,text\n1,c\n",
        "d.tsv": b"text\nv\n",
        "e.parquet": sink.getvalue(),
    }
    files |= {f"f.txt{codec}": COMPRESS[codec](codec.encode()) for codec in CODECS}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "notes").mkdir()
    progress = Progress(str(tmp_path / "notes"))
    rows, _, letters, counts = read(tmp_path / "out", Reading(files=f"{tmp_path}/[a-f].*"), progress=progress)
    assert {file: row["text"] for (file, _), row in rows.items()} == {
        "a.txt": "t",
        "b.jsonl": "j",
        "c.csv": "c",
        "d.tsv": "v",
        "e.parquet": "p",
        **{f"f.txt{codec}": codec for codec in CODECS},
    }
    assert letters == [("e.parquet", 1, "null_text")]
    assert counts == {"rows_read": len(files) + 1}
    assert progress.totals() == {"rows": len(files) + 1, "bytes": sum(map(len, files.values()))}


def test_first_dead_letter_fails_the_job_where_nobody_asks_for_them(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\nno\n')
    with pytest.raises(
        JobError, match=r"bad_json at a\.jsonl#14: .*; to go on past such rows, ask for with_dead_letters"
    ):
        run(lambda pipeline: {"rows": pipeline | ReadCorpus(Reading(files=f"{tmp_path}/a.jsonl"))}, tmp_path / "out")


def test_rows_alone_come_out_where_nobody_asks_for_dead_letters(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\nb\n")
    found = run(lambda pipeline: {"rows": pipeline | ReadCorpus(Reading(files=f"{tmp_path}/a.txt"))}, tmp_path / "out")
    assert [batch.column("text").to_pylist() for batch in found["rows"]] == [["a", "b"]]


def test_file_that_changed_after_it_was_listed_fails_the_job(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\n")
    reading = Reading(files=f"{tmp_path}/a.txt")
    corpus = find_corpus(reading)
    (tmp_path / "a.txt").write_bytes(b"a\nb\n")
    with pytest.raises(JobError, match="had 2 bytes when the job was planned and has 4 now"):
        read(tmp_path / "out", reading, corpus=corpus)


def grow(path):
    with path.open("ab") as stream:
        stream.write(b"\n")


def shrink(path):
    os.truncate(path, path.stat().st_size - 1)


CHANGES = (grow, shrink, halve, write_over, replace, os.unlink, turn_into_a_folder)


def _as_parquet(texts):
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=5000, compression="none", use_dictionary=False)
    return sink.getvalue()


TEXTS = [f"{i:050}" for i in range(30_000)]
PLAIN = "".join(f"{text}\n" for text in TEXTS).encode()
AS_FILES = {
    "a.txt": PLAIN,
    "a.csv": b"text\n" + PLAIN,
    "a.txt.gz": gzip.compress(PLAIN, 1),
    "a.parquet": _as_parquet(TEXTS),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", AS_FILES)
def test_file_that_changes_while_it_is_read_fails_the_job_as_changed(tmp_path, name, change):
    path = tmp_path / name
    path.write_bytes(AS_FILES[name])
    os.utime(path, (0, 1_700_000_000))
    reading = Reading(files=str(path))
    corpus = find_corpus(reading)
    step = ReadCorpus(reading, corpus)
    (unit,) = step.units()
    assert sum(batch.num_rows for batch in step.dofn().process(unit) if isinstance(batch, pa.RecordBatch)) == 30_000
    batches = step.dofn().process(unit)
    next(batches)
    change(path)
    with pytest.raises(
        JobError, match=rf"^read\.files: {path} (had \d+ bytes|was last changed at) .*when the job was planned"
    ):
        list(batches)


def source_rows(path, codec=None):
    how = detect(str(path))
    source = Source(str(path), path.name)
    return list(read_source(source, Split((source,), how, 0), Columns(("text",), {})))


@pytest.mark.parametrize("codec", list(CODECS))
def test_compressed_file_cut_short_fails_the_job_by_name(tmp_path, codec):
    packed = COMPRESS[codec](b"".join(b"%d\n" % i for i in range(1000)))
    path = tmp_path / f"a.txt{codec}"
    path.write_bytes(packed)
    assert sum(rows.read for rows in source_rows(path)) == 1000
    for damaged in (packed[:-1], packed[: len(packed) // 2], packed[:3], packed + b"rubbish"):
        path.write_bytes(damaged)
        with pytest.raises(JobError, match=rf"^read\.files: .*/a\.txt\{codec} cannot be read: ."):
            source_rows(path)


def test_damaged_parquet_fails_the_job_by_name(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and no more PAR1")
    with pytest.raises(JobError, match=r"^read\.files: a\.parquet is no readable Parquet file"):
        source_rows(path)


def test_file_that_is_gone_fails_the_job_by_name(tmp_path):
    with pytest.raises(JobError, match=r"^read\.files: .*/none\.txt cannot be read"):
        source_rows(tmp_path / "none.txt")


class Elsewhere(LocalFileSystem):
    """The local disk under a scheme of its own, as buckets have one: elsewhere://a/b is /a/b."""

    @classmethod
    def scheme(cls):
        return "elsewhere"

    def _local(self, path):
        return path.removeprefix("elsewhere:/")

    def _list(self, dir_or_prefix):
        for found in super()._list(self._local(dir_or_prefix)):
            yield FileMetadata(f"elsewhere:/{found.path}", found.size_in_bytes, found.last_updated_in_seconds)

    def exists(self, path):
        return super().exists(self._local(path))

    def metadata(self, path):
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def size(self, path):
        return super().size(self._local(path))

    def last_updated(self, path):
        return super().last_updated(self._local(path))

    def open(self, path, *arguments, **options):
        return super().open(self._local(path), *arguments, **options)


@pytest.mark.parametrize(
    ("patterns", "root", "names"),
    [
        (["c/*.txt"], None, ["a.txt"]),
        (["c/a.txt"], None, ["a.txt"]),
        (["c/*.txt", "d/b.txt"], None, ["c/a.txt", "d/b.txt"]),
        (["c/*.txt"], "", ["c/a.txt"]),
        (["c/*.txt"], "c/", ["a.txt"]),
    ],
)
def test_files_of_other_file_systems_are_named_and_read_alike(tmp_path, patterns, root, names):
    for name in ("c/a.txt", "d/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"1\n2\n")
    where = f"elsewhere:/{tmp_path}"
    reading = Reading(
        files=tuple(f"{where}/{pattern}" for pattern in patterns), root=None if root is None else f"{where}/{root}"
    )
    corpus = find_corpus(reading)
    assert [file.file for file in corpus.files] == names
    assert all(file.path.startswith(where) and file.bytes == 4 and file.changed for file in corpus.files)
    if root is None and patterns == ["c/*.txt"]:
        rows, _, _, _ = read(tmp_path / "out", reading)
        assert list(rows) == [("a.txt", 0), ("a.txt", 2)]
