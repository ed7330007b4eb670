"""The whole benchmark on a third of a MB, with everyone who is installed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from benchmarks.__main__ import main
from benchmarks.contestants import CONTESTANTS
from benchmarks.tokenizer_kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.corpus import Source


class Made(NamedTuple):
    """What a run left."""

    page: str
    raw: dict[str, Any]
    plot: str
    said: str


def make_bench(folder: Path, code_source: Source) -> Made:
    """Runs the benchmark as `make bench` does, on a corpus of one's own."""
    texts = "".join(json.dumps({"text": text}) + "\n" for text in code_source.texts())
    (folder / "own.jsonl").write_text(texts)
    options = ["--corpus", folder / "own.jsonl", "--sizes", "0.3", "--tokenizers", "bpe", "--vocabulary", 400]
    folders = ["--work", folder / "work", "--out", folder / "out"]
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()) as page:
        assert main([str(option) for option in options + folders]) == 0, said.getvalue()
    assert sorted(path.name for path in (folder / "work").iterdir()) == ["corpora", "tokenizers"]
    raw, plot = ((folder / "out" / name).read_text() for name in ("raw.json", "plot.svg"))
    assert page.getvalue().strip() == (folder / "out" / "table.md").read_text().strip()
    return Made(page.getvalue(), json.loads(raw), plot, said.getvalue())


# One test, for a run takes half a minute and several would each make their own where tests are run side by side.
def test_everyone_who_is_installed_agrees_row_by_row_and_is_reported(tmp_path, code_source):
    made = make_bench(tmp_path, code_source)
    all_took_part_or_are_named(made)
    all_wrote_the_same_rows(made)
    all_have_their_figures(made)
    page_is_whole(made)
    assert str(tmp_path) not in made.page + json.dumps(made.raw)


def all_took_part_or_are_named(made):
    took_part = {one["case"]["contestant"] for one in made.raw["measurements"]}
    missing = {name for name, who in CONTESTANTS.items() if who.missing()}
    assert took_part == set(CONTESTANTS) - missing
    assert set(made.raw["missing"]) == missing
    assert all(f"{CONTESTANTS[name].title}: not installed" in made.page for name in missing)
    assert {one["case"]["format"] for one in made.raw["measurements"]} == {"parquet", "tfrecord", "none"}


def all_wrote_the_same_rows(made):
    ((tokens, rows, checked),) = {(one["tokens"], one["rows"], one["checked"]) for one in made.raw["measurements"]}
    assert tokens > 20_000
    assert rows == checked > 100
    assert made.said.count(": agrees") == len(made.raw["measurements"])
    assert not re.search(r"\d s\b|second", made.said)  # nobody is told a time before all agree


def all_have_their_figures(made):
    for one in made.raw["measurements"]:
        writes = one["case"]["format"] != "none"
        assert one["seconds"] > 0.1
        assert one["cpu"] > 0.1
        assert one["memory"] > 30e6
        assert one["processes"] >= 1 + (one["case"]["contestant"] in ("beam-2", "datasets-2"))
        assert (one["calls"] is None) == writes
        assert (one["output_bytes"] > 5_000 and one["cells"] > one["tokens"]) or not writes


def page_is_whole(made):
    assert made.page.startswith("# Benchmark of 20")
    names = {one["case"]["contestant"] for one in made.raw["measurements"]}
    assert all(f"| {CONTESTANTS[name].title} |" in made.page for name in names)
    assert all(f"<!-- {CONTESTANTS[name].title} -->" in made.plot for name in names)
    assert f"<!-- {KINDS['bpe'].title} -->" in made.plot
    assert (made.page.count("| at least "), made.page.count("| at most "), len(made.raw["targets"])) == (4, 4, 8)
    assert "make bench ARGS='--sizes 0.3 --corpus own.jsonl --vocabulary 400 --tokenizers bpe'" in made.page


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0
    said = capsys.readouterr().out
    assert "make bench ARGS='--full'" in said
    assert all(name in said for name in (*CONTESTANTS, *KINDS))


@pytest.mark.parametrize("options", ["--sizes 0", "--sizes a", "--repeat 0", "--tokenizers gpt", "--size 8"])
def test_mistakes_leave_with_two_and_a_line(options, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(options.split())
    assert leaving.value.code == 2
    assert re.search(r"error: (argument )?--\w+|unrecognized", capsys.readouterr().err)


def test_own_corpus_that_is_not_there_is_a_mistake(tmp_path, capsys):
    assert main(["--corpus", str(tmp_path / "no")]) == 2
    assert "no is not there" in capsys.readouterr().err


def test_too_little_disk_is_told_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1_000_000))
    (tmp_path / "own.txt").write_text("a b c\n")
    assert main(["--corpus", str(tmp_path / "own.txt"), "--work", str(tmp_path / "w"), "--sizes", "10"]) == 1
    assert "0.0 GB free, 0.0 GB needed for 10 MB" in capsys.readouterr().err
    assert list((tmp_path / "w").iterdir()) == []
