"""Bad rows by name, as files: what becomes of each, through whole jobs and through each reader alone."""

import bz2
import gzip
import io
import json
import lzma
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.runs import contents, manifest_of, oblong, words, write_jsonl, write_tokenizer

BOM = b"\xef\xbb\xbf"
OK = b'{"text": "w1"}\n'
DEEP = 200_000
NEST = b"[" * DEEP + b"]" * DEEP
INT64, FLOAT64, FLOAT32 = ({"read.keep": {"n": kind}} for kind in ("int64", "float64", "float32"))


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def zst(data):
    return zstandard.ZstdCompressor().compress(data)


def damaged(data, at):
    """The same bytes but one."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


PARQUET = parquet(text=["w1 w2", "w3"] * 400)

# name, file, content, rows that pass, dead letters as (position, reason), settings
ROWS = [
    ("half a surrogate pair", "a.jsonl", OK + b'{"text": "\\ud800"}\n' + OK, 2, [(15, "bad_encoding")]),
    ("half a pair in another key", "a.jsonl", b'{"text": "a", "x": "\\udc00"}\n', 0, [(0, "bad_encoding")]),
    ("a pair the wrong way round", "a.jsonl", b'{"text": "\\udc00\\ud800"}\n', 0, [(0, "bad_encoding")]),
    ("a pair", "a.jsonl", b'{"text": "\\ud83d\\ude00"}\n', 1, []),
    ("an escaped backslash before u", "a.jsonl", b'{"text": "\\\\ud800"}\n', 1, []),
    ("NUL escaped", "a.jsonl", b'{"text": "w1\\u0000w2"}\n', 1, []),
    ("NUL bare", "a.jsonl", b'{"text": "w1\0w2"}\n' + OK, 1, [(0, "bad_json")]),
    ("NUL in text", "a.txt", b"w1\0w2\n\0\n", 2, []),
    ("no UTF-8", "a.jsonl", b'{"text": "\xff"}\n' + OK, 1, [(0, "bad_encoding")]),
    ("no UTF-8 where nobody looks", "a.jsonl", b'{"text": "w1", "x": "\xed\xa0\x80"}\n', 0, [(0, "bad_encoding")]),
    ("overlong UTF-8", "a.txt", b"\xc0\x80\nw1\n", 1, [(0, "bad_encoding")]),
    ("UTF-16", "a.txt", "w1\nw2\n".encode("utf-16"), 2, [(0, "bad_encoding")]),
    ("a BOM at the start", "a.jsonl", BOM + OK, 1, []),
    ("a BOM inside", "a.jsonl", OK + BOM + OK, 1, [(15, "bad_json")]),
    ("two BOMs", "a.jsonl", BOM + BOM + OK, 0, [(0, "bad_json")]),
    ("1e308", "a.jsonl", b'{"text": "w1", "n": 1e308}\n', 1, [], FLOAT64),
    ("1e309", "a.jsonl", b'{"text": "w1", "n": 1e309}\n', 0, [(0, "wrong_type")], FLOAT64),
    ("1e308 for float32", "a.jsonl", b'{"text": "w1", "n": 1e308}\n', 0, [(0, "wrong_type")], FLOAT32),
    ("NaN", "a.jsonl", b'{"text": "w1", "n": NaN}\n', 0, [(0, "bad_json")]),
    ("Infinity", "a.jsonl", b'{"text": "w1", "n": -Infinity}\n', 0, [(0, "bad_json")]),
    ("2 ** 63", "a.jsonl", b'{"text": "w1", "n": 9223372036854775808}\n', 0, [(0, "wrong_type")], INT64),
    ("5000 digits", "a.jsonl", b'{"text": "w1", "n": ' + b"9" * 5000 + b"}\n", 0, [(0, "wrong_type")], INT64),
    ("5000 digits where nobody looks", "a.jsonl", b'{"text": "w1", "n": ' + b"9" * 5000 + b"}\n", 1, []),
    ("200,000 lists deep", "a.jsonl", b"[" * DEEP + b"\n" + OK, 1, [(0, "bad_json")]),
    ("200,000 lists deep, closed", "a.jsonl", b'{"text": "a", "x": ' + NEST + b"}\n", 0, [(0, "bad_json")]),
    ("200,000 objects deep", "a.jsonl", b'{"text":' * DEEP + b"\n" + OK, 1, [(0, "bad_json")]),
    ("two equal keys", "a.jsonl", b'{"text": 1, "text": "w1"}\n{"text": "w1", "text": 1}\n', 1, [(26, "wrong_type")]),
    ("two objects on a line", "a.jsonl", b'{"text": "a"} {"text": "b"}\n', 0, [(0, "bad_json")]),
    ("an object over two lines", "a.jsonl", b'{"text":\n"w1"}\n', 0, [(0, "bad_json"), (9, "bad_json")]),
    ("no object", "a.jsonl", OK + b'[{"text": "a"}]\n"a"\n1\nnull\n', 1, [(p, "bad_row") for p in (15, 31, 35, 37)]),
    ("an empty key, and no text", "a.jsonl", OK + b'{"": "a"}\n{}\n', 1, [(p, "missing_column") for p in (15, 25)]),
    ("U+2028 and U+0085 end no line", "a.jsonl", '{"text": "w1\u2028w2\u0085"}\n'.encode(), 1, []),
    ("CR alone ends no line", "a.txt", b"w1\rw2\r\nw3\r", 2, []),
    ("a line too long", "a.txt", b"w1\n" + b"x" * 99 + b"\nw2\n", 2, [(3, "too_long")], {"read.max_row_bytes": 50}),
    ("ragged rows", "a.csv", b'text,n\nw1\nw1,2\nw1,2,3\n\n,\n', 2, [(0, "bad_row"), (2, "bad_row")]),
    ("a quote that never closes", "a.csv", b'text,n\nw1,2\n"w1,2\nw1,3\n', 1, [(1, "bad_row")]),
    ("a quote inside a field", "a.csv", b'text,n\nw"1,2\n"w1"x,2\nw1,2\n', 2, [(1, "bad_row")]),
    ("quotes in TSV", "a.tsv", b'text\tn\n"w1\t2\n', 1, []),
    ("many fields", "a.csv", b"text,n\n" + b"," * 100_000 + b"\nw1,1\n", 1, [(0, "bad_row")]),
    ("other types", "a.parquet", parquet(text=[1, None]), 0, [(0, "wrong_type"), (1, "null_text")]),
    ("nested", "a.parquet", parquet(text=[{"a": "w1"}]), 0, [(0, "wrong_type")]),
    ("lists", "a.parquet", parquet(text=[["w1"], []]), 0, [(0, "wrong_type"), (1, "wrong_type")]),
    ("bytes that are no UTF-8", "a.parquet", parquet(text=[b"w1", b"\xff"]), 1, [(1, "bad_encoding")]),
    ("an empty file", "a.jsonl", b"", 0, []),
    ("gzip of many members", "a.txt.gz", b"".join(gzip.compress(b"w%d\n" % i) for i in range(2000)), 2000, []),
    ("zstd of many frames", "a.txt.zst", b"".join(zst(b"w%d\n" % i) for i in range(2000)), 2000, []),
    ("zeros behind gzip", "a.txt.gz", gzip.compress(b"w1\n") + bytes(600), 1, []),
]  # fmt: skip

# name, file, content, what the one line says and the exit code
FILES = [
    ("gzip cut short", "a.txt.gz", gzip.compress(b"w1\n" * 99)[:-9], 1, "a.txt.gz cannot be read: "),
    ("zstd cut short", "a.txt.zst", zst(b"w1\n" * 99)[:-3], 1, "it ends before its compressed data does"),
    ("xz cut short", "a.txt.xz", lzma.compress(b"w1\n" * 99)[:-9], 1, "it ends before its compressed data does"),
    ("rubbish behind gzip", "a.txt.gz", gzip.compress(b"w1\n") + b"rubbish", 1, "a.txt.gz cannot be read: "),
    ("rubbish behind zstd", "a.txt.zst", zst(b"w1\n") + b"rubbish", 1, "a.txt.zst cannot be read: "),
    ("rubbish behind bzip2", "a.txt.bz2", bz2.compress(b"w1\n") + b"rubbish", 1, "a.txt.bz2 cannot be read: "),
    ("plain text called gzip", "a.txt.gz", b"w1\n", 1, "a.txt.gz cannot be read: "),
    ("a Parquet file cut short", "a.parquet", PARQUET[:-9], 2, "is no readable Parquet file"),
    ("a Parquet file without a footer", "a.parquet", b"PAR1" + bytes(40), 2, "is no readable Parquet file"),
    ("a footer of 2 GB", "a.parquet", PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1", 2, "is no readable Parquet file"),
    ("a broken page", "a.parquet", damaged(PARQUET, 6), 1, "is damaged near row 0"),
    ("two columns of one name", "a.csv", b"text,text\na,b\n", 2, "2 columns are called 'text'; rename all but one"),
    ("a header that is no UTF-8", "a.csv", b"text,\xff\na,b\n", 2, "the header line cannot be read: it is not UTF-8"),
]  # fmt: skip


def run(folder, file, content, settings):
    """Runs a job on one file."""
    path = Path(folder, "in", file)
    path.parent.mkdir()
    path.write_bytes(content)
    flags = [f"--set={key}={json.dumps(value)}" for key, value in ({"run.max_dead_letters": 1} | settings).items()]
    tokenizer = write_tokenizer(folder / "tok")
    return oblong("run", "--input", path, "--tokenizer", tokenizer, "--output", folder / "out", "--json", *flags)


@pytest.mark.parametrize("case", ROWS, ids=[case[0] for case in ROWS])
def test_bad_rows_are_dead_letters_in_their_place_and_the_others_pass(tmp_path, case):
    _, file, content, passed, dead, *settings = case
    manifest = manifest_of(run(tmp_path, file, content, settings[0] if settings else {}))
    assert manifest["totals"]["rows_read"] == passed + len(dead)
    assert manifest["totals"]["rows_with_output"] == passed
    lines = [
        line
        for name, data in contents(tmp_path / "out").items()
        if "/dead_letters/" in name
        for line in data.splitlines()
    ]
    letters = sorted((letter["position"], letter["reason"]) for letter in map(json.loads, lines))
    assert letters == sorted(dead)


@pytest.mark.parametrize("case", FILES, ids=[case[0] for case in FILES])
def test_bad_files_end_the_job_in_one_line_and_commit_nothing(tmp_path, case):
    _, file, content, code, said = case
    found = run(tmp_path, file, content, {})
    assert found.code == code, found.err
    assert said in found.err.splitlines()[-1]
    assert "Traceback" not in found.err
    assert not list(tmp_path.glob("out/runs/*/manifest.json"))


NAMES = [
    "sp ace", "new\nline", "tab\t", "hash#1", "per%20cent", "%2e%2e", "-dash", "--config", "star*", "q?", "[a]",
    "..dots", "é漢🎉", "quo'te\"", "{a,b}", "~", "$HOME", "a:b", "CON",
]  # fmt: skip


def test_files_of_any_name_are_read_and_known_by_it(tmp_path):
    for i, name in enumerate(NAMES):
        write_jsonl(tmp_path / "in" / f"{name}.jsonl", [{"text": words(2, i)}, "no"])
    tokenizer = write_tokenizer(tmp_path / "tok")
    said = oblong(
        *("run", "--input", tmp_path / "in/*.jsonl", "--tokenizer", tokenizer, "--output", tmp_path / "out", "--json"),
        *("--set=run.max_dead_letters=1", "--set=write.columns=[input_ids, row_id]"),
    )
    manifest = manifest_of(said)
    assert sorted(file["file"] for file in manifest["inputs"]) == sorted(f"{name}.jsonl" for name in NAMES)
    run_folder = Path(said.json["manifest"]).parent
    ids = [row for file in manifest["files"] for row in pq.read_table(run_folder / file["path"])["row_id"].to_pylist()]
    spelled = [name.replace("%", "%25").replace("#", "%23") for name in NAMES]
    assert sorted(ids) == sorted(f"{name}.jsonl#0" for name in spelled)
    assert manifest["totals"]["dead_letters"] == {"bad_json": len(NAMES)}


def test_only_files_are_read_not_folders_pipes_devices_or_links_to_nowhere(tmp_path):
    folder = tmp_path / "in"
    write_jsonl(folder / "a.jsonl", [{"text": "w1"}])
    (folder / "dir.jsonl").mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "zero.jsonl").symlink_to("/dev/zero")
    (folder / "loop.jsonl").symlink_to("loop.jsonl")
    (folder / "up").symlink_to("..")
    tokenizer = write_tokenizer(tmp_path / "tok")

    def read(pattern):
        return oblong(
            "run", "--input", folder / pattern, "--tokenizer", tokenizer, "--output", tmp_path / "out", "--json"
        )

    assert [file["file"] for file in manifest_of(read("**.jsonl"))["inputs"]] == ["a.jsonl"]
    for name in ("pipe.jsonl", "zero.jsonl"):
        said = read(name)
        assert said.code == 2
        assert said.err.strip().endswith("matches no file; it is a pipe or a device, and only files can be read")
    assert read("loop.jsonl").code == read("dir.jsonl").code == read("[z-a].jsonl").code == 2
