import os
import re
import time
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.arrays.errors import ConfigError
from transforms.arrays.readers import Format, Reading
from transforms.inputs import Corpus, InputFile, divide, find_corpus


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, which is the working directory too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, *names, data=b"a\n"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def names(*patterns, **section):
    """Names of the files that patterns find, as row ids have them."""
    return [file.file for file in find_corpus(Reading(files=patterns, **section)).files]


def refusal(*patterns, **section):
    with pytest.raises(ConfigError) as caught:
        find_corpus(Reading(files=patterns, **section))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["c/a.txt"], ["a.txt"]),
        (["c/*.txt"], ["a.txt", "b.txt"]),
        (["c/a*.txt"], ["a.txt"]),
        (["c/[ab].txt"], ["a.txt", "b.txt"]),
        (["c/*/*.txt"], ["d/a.txt", "e/a.txt"]),
        (["c/**/*.txt"], ["d/a.txt", "e/a.txt"]),
        (["c/d/*.txt", "c/e/*.txt"], ["d/a.txt", "e/a.txt"]),
        (["c/d/a.txt", "c/a.txt"], ["a.txt", "d/a.txt"]),
        (["c/d/a.txt", "x/a.txt"], ["c/d/a.txt", "x/a.txt"]),
        (["[cx]/a.txt"], ["c/a.txt", "x/a.txt"]),
        (["*/b.txt"], ["c/b.txt"]),
        (["?/b*"], ["c/b.txt"]),
        (["./c/*.txt"], ["a.txt", "b.txt"]),
        (["c//*.txt"], ["a.txt", "b.txt"]),
        (["x/../c/*.txt"], ["a.txt", "b.txt"]),
        (["c/d/*.txt", "cc/*.txt"], ["c/d/a.txt", "cc/a.txt"]),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_names_are_relative_to_the_deepest_folder_of_all_patterns(folder, patterns, expected, absolute):
    write(folder, "c/a.txt", "c/b.txt", "c/d/a.txt", "c/e/a.txt", "cc/a.txt", "x/a.txt")
    if absolute:
        patterns = [f"{folder}/{pattern}" for pattern in patterns]
    assert names(*patterns) == expected


def test_relative_and_absolute_patterns_mix(folder):
    write(folder, "c/a.txt", "x/b.txt")
    assert names("c/*.txt", f"{folder}/x/*.txt") == ["c/a.txt", "x/b.txt"]


def test_root_that_is_given_is_where_names_start(folder):
    write(folder, "c/d/a.txt")
    for root in ("c", "c/", "./c", f"{folder}/c", f"{folder}/c/d/.."):
        assert names("c/d/*.txt", root=root) == ["d/a.txt"]
    for root in (".", "", str(folder)):
        assert names("c/d/*.txt", root=root) == ["c/d/a.txt"]
    assert names("c/d/*.txt", root="/") == [f"{folder}/c/d/a.txt"[1:]]


def test_file_outside_of_the_root_is_refused(folder):
    write(folder, "c/a.txt", "cc/a.txt")
    assert re.fullmatch(r"read\.root: (.*/)?cc/a\.txt is not below .*/c", refusal("c*/*.txt", root="c"))


def test_file_that_two_patterns_match_is_read_once_however_it_is_spelled(folder):
    write(folder, "c/a.txt", "c/b.txt")
    assert names("c/*.txt", "c/a.txt") == ["a.txt", "b.txt"]
    assert names("c/*.txt", "./c/a.txt", f"{folder}/c/b.txt", "c/../c/a.txt") == ["a.txt", "b.txt"]


ODD = [
    "a b.txt",
    "a#b.txt",
    "50%.txt",
    "100%25.txt",
    "漢é🎉.txt",
    "two\nlines.txt",
    "[a].txt",
    "what?.txt",
    "-x.txt",
    "'q\".txt",
]


def test_odd_names_are_found_as_they_are(folder):
    write(folder, *[f"c/{name}" for name in ODD])
    assert names("c/*.txt") == sorted(ODD)
    assert {file.bytes for file in find_corpus(Reading(files="c/*.txt")).files} == {2}


def test_name_that_is_no_utf8_is_refused_by_name(folder):
    write(folder, "c/" + os.fsdecode(b"a\xff.txt"))
    assert "is not UTF-8; rename it" in refusal("c/*.txt")


def test_files_are_in_the_order_of_their_names_with_sizes_and_times(folder):
    write(folder, "c/b.txt", data=b"123")
    write(folder, "c/a.txt", "c/B.txt", data=b"1")
    os.utime(folder / "c/a.txt", (1e9, 1e9))
    corpus = find_corpus(Reading(files="c/*.txt"))
    assert [(file.file, file.bytes) for file in corpus.files] == [("B.txt", 1), ("a.txt", 1), ("b.txt", 3)]
    assert corpus.files[1].changed == 1e9
    assert corpus.bytes == 5


def test_pattern_that_matches_nothing_is_named(folder):
    write(folder, "c/a.txt")
    assert refusal("c/*.txt", "d/*.txt") == "read.files: 'd/*.txt' matches no file"
    assert refusal("c/a.jsonl") == "read.files: 'c/a.jsonl' matches no file"
    assert refusal() == "read.files: nothing to read; give a pattern, e.g. --input 'corpus/*.jsonl'"


def test_folder_given_for_its_files_gets_a_hint(folder):
    write(folder, "c/a.txt")
    assert refusal("c") == "read.files: 'c' matches no file; it is a folder: write 'c/*'"
    assert names("c/") == ["a.txt"]  # as Beam has it


def test_folders_among_the_matches_are_no_files(folder):
    write(folder, "c/a.txt", "c/d.txt/b")
    assert names("c/*.txt") == ["a.txt"]


def test_kept_types_come_from_the_first_file_that_has_a_row(folder):
    write(folder, "c/a.jsonl", data=b"")
    write(folder, "c/b.jsonl", data=b"\n\n")
    write(folder, "c/c.jsonl", data=b'{"text": "t", "k": 1}\n')
    write(folder, "c/d.jsonl", data=b'{"text": "t", "k": "x"}\n')
    assert find_corpus(Reading(files="c/*", keep=("k",))).kept == {"k": pa.int64()}
    assert find_corpus(Reading(files="c/[ab]*", keep=("k",))).kept == {"k": pa.string()}
    assert "c/c.jsonl has no column 'kk'; did you mean k?" in refusal("c/*", keep=("kk",))
    assert "c/c.jsonl has no column 'txt'; did you mean text?" in refusal("c/*", text="txt", keep=("k",))


def test_file_that_cannot_be_read_while_the_job_is_planned_is_named_as_a_mistake(folder):
    write(folder, "a.jsonl.gz", data=b"no gzip at all")
    assert re.fullmatch(r"read\.files: a\.jsonl\.gz cannot be read: Not a gzipped file .*", refusal("a.*"))
    write(folder, "b.parquet", data=b"no Parquet")
    assert re.match(r"read\.files: b\.parquet is no readable Parquet file: ", refusal("b.*"))
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), folder / "c.parquet")
    assert re.fullmatch(r"read\.files: c\.parquet: 2 columns are called 'text'; rename all but one", refusal("c.*"))


def test_file_that_is_no_parquet_is_a_mistake_where_it_is_to_be_divided_too(folder):
    pq.write_table(pa.table({"text": ["a"]}), folder / "a.parquet")
    write(folder, "b.parquet", data=b"no Parquet")
    reading = Reading(files="*.parquet", split_bytes=1)
    corpus = find_corpus(reading)
    with pytest.raises(ConfigError, match=r"read\.files: .*b\.parquet is no readable Parquet file"):
        divide(corpus, reading)


def lacking(suffix):
    """A file without the columns text and k, and one with them, both of one row."""
    if suffix == "jsonl":
        return b'{"other": 1}\n', b'{"text": "t", "k": 1}\n'
    if suffix in ("csv", "tsv"):
        between = b"," if suffix == "csv" else b"\t"
        return b"other\n1\n", b"text" + between + b"k\nt" + between + b"1\n"
    sinks = []
    for table in ({"other": [1]}, {"text": ["t"], "k": [1]}):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(table), sink)
        sinks.append(sink.getvalue().to_pybytes())
    return tuple(sinks)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
def test_column_is_a_mistake_only_where_no_file_has_it(folder, suffix):
    without, whole = lacking(suffix)
    for i in range(3):
        write(folder, f"c/{i}.{suffix}", data=without)
    refused = refusal("c/*", keep=("k",))
    assert refused.startswith(f"read.text: c/0.{suffix} has no column 'text'; one of other")
    write(folder, f"c/3.{suffix}", data=whole)
    write(folder, f"c/4.{suffix}", data=b"is not looked into")
    assert find_corpus(Reading(files="c/*", keep=("k",))).kept == {"k": pa.int64()}
    assert find_corpus(Reading(files="c/*", keep={"k": "float64"})).kept == {"k": pa.float64()}


def test_type_that_one_file_does_not_tell_is_told_by_the_next(folder):
    write(folder, "c/a.jsonl", data=b'{"text": "t", "k": null}\n')
    assert "a.jsonl have no value for 'k'; say its type" in refusal("c/*", keep=("k",))
    write(folder, "c/b.csv", data=b"text,k\n")
    assert "a.jsonl have no value for 'k'; say its type" in refusal("c/*", keep=("k",))
    write(folder, "c/c.csv", data=b"text,k\nt,0.5\n")
    assert find_corpus(Reading(files="c/*", keep=("k",))).kept == {"k": pa.float64()}
    assert find_corpus(Reading(files="c/b.csv", keep=("k",))).kept == {"k": pa.string()}


def test_file_without_a_telling_suffix_is_refused(folder):
    write(folder, "c/a.dump")
    assert "read.format: the suffix of " in refusal("c/*")


def corpus_of(*sizes, suffix=".txt"):
    return Corpus(
        tuple(InputFile(f"/c/{i:06}{suffix}", f"{i:06}{suffix}", size, 0.0) for i, size in enumerate(sizes)), {}
    )


def covered(splits, sizes):
    """Checks that ranges of bytes meet, overlap nowhere and reach the files' ends."""
    stretches = {}
    for split in splits:
        for source in split.sources:
            stretches.setdefault(source.path, []).append((source.start, source.stop))
    for path, ranges in stretches.items():
        at = 0
        for start, stop in sorted(ranges):
            assert start == at
            at = stop
        assert at is None, path
    assert sorted(stretches) == sorted(path for path, size in sizes.items() if size)


@pytest.mark.parametrize("split_bytes", [1, 7, 99, 100, 101, 1000, 10**9])
def test_every_byte_belongs_to_one_split(split_bytes):
    corpus = corpus_of(0, 1, 99, 100, 101, 250, 3, 0, 1000)
    splits = divide(corpus, Reading(split_bytes=split_bytes))
    covered(splits, {file.path: file.bytes for file in corpus.files})
    assert sum(split.bytes for split in splits) == corpus.bytes
    assert max(split.bytes for split in splits) <= split_bytes


def test_small_files_share_a_split_and_large_ones_are_divided():
    splits = divide(corpus_of(*[10] * 25, 250), Reading(split_bytes=100))
    assert [[source.file for source in split.sources] for split in splits] == [
        [f"{i:06}.txt" for i in range(10)],
        [f"{i:06}.txt" for i in range(10, 20)],
        [f"{i:06}.txt" for i in range(20, 25)],
        ["000025.txt"],
        ["000025.txt"],
        ["000025.txt"],
    ]


def test_files_of_several_formats_never_share_a_split():
    files = [
        InputFile(f"/c/{i}{suffix}", f"{i}{suffix}", 5, 0.0) for i, suffix in enumerate([".txt", ".csv", ".txt.gz"] * 4)
    ]
    splits = divide(Corpus(tuple(files), {}), Reading())
    assert Counter((split.format, len(split.sources)) for split in splits) == {
        (Format("text", None), 4): 1,
        (Format("csv", None), 4): 1,
        (Format("text", ".gz"), 4): 1,
    }


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt.gz", ".jsonl.zst"])
def test_files_that_cannot_be_divided_stay_whole(suffix):
    splits = divide(corpus_of(1000, 1000, suffix=suffix), Reading(split_bytes=10))
    assert [[(s.start, s.stop) for s in split.sources] for split in splits] == [[(0, None)], [(0, None)]]


def test_parquet_is_divided_by_row_groups(tmp_path):
    pq.write_table(pa.table({"text": [str(i) * 20 for i in range(1000)]}), tmp_path / "a.parquet", row_group_size=100)
    corpus = find_corpus(Reading(files=str(tmp_path / "a.parquet")))
    for split_bytes in (1, corpus.bytes // 3, corpus.bytes - 1):
        ranges = [
            (s.start, s.stop) for split in divide(corpus, Reading(split_bytes=split_bytes)) for s in split.sources
        ]
        assert [group for start, stop in ranges for group in range(start, stop)] == list(range(10))
        assert len(ranges) > 1
    (whole,) = divide(corpus, Reading())
    assert [(s.start, s.stop) for s in whole.sources] == [(0, None)]


def test_hundred_thousand_small_files_are_divided_in_a_moment():
    corpus = corpus_of(*[100] * 100_000)
    began = time.perf_counter()
    splits = divide(corpus, Reading(split_bytes=10**9))
    assert time.perf_counter() - began < 5
    assert [len(split.sources) for split in splits] == [100_000]


def test_no_files_with_a_byte_make_no_splits():
    assert divide(corpus_of(0, 0), Reading()) == []
