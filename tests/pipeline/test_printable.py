"""Names of other people never reach the terminal as they are."""

import csv
import json

import pytest

from pipeline.printable import printable
from tests.runs import oblong, reseal, write_tokenizer

EVIL = "\x1b[31mE\a\x9b2J\u202eV\r\nIL"
SPELLED = r"\x1b[31mE\x07\x9b2J\u202eV\r\nIL"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", ""), ("Zoë 漢/a b.jsonl", "Zoë 漢/a b.jsonl"), (EVIL, SPELLED), ("\0\x7f\ud800", r"\x00\x7f\ud800")],
)
def test_text_is_shown_on_one_line_with_control_characters_written_out(text, shown):
    assert printable(text) == shown


def write_csv(path):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["text", EVIL], ["w1", "x"]])
    return path


def is_clean(said):
    return all(char.isprintable() or char == "\n" for char in said.out + said.err)


def test_name_of_a_file_cannot_write_to_the_terminal_in_a_message(tmp_path):
    (tmp_path / f"{EVIL}.jsonl.gz").write_bytes(b"no gzip")
    said = oblong("run", f"--input={tmp_path}/*.gz", "--tokenizer", write_tokenizer(tmp_path / "tok"), "--output=o")
    assert said.code == 2
    assert r"\x1b[31mE\x07\x9b2J\u202eV IL.jsonl.gz cannot be read" in said.err
    assert is_clean(said)


def test_name_of_a_folder_cannot_write_to_the_terminal_in_a_table(tmp_path):
    (tmp_path / "runs" / EVIL).mkdir(parents=True)
    for command in (("runs",), ("gc", "--older-than=0")):
        said = oblong(*command, tmp_path)
        assert SPELLED in said.out
        assert is_clean(said)


def test_manifest_cannot_write_to_the_terminal(tmp_path):
    source = write_csv(tmp_path / "a.csv")
    short = ("--input", source, "--tokenizer", write_tokenizer(tmp_path / "tok"), "--output", tmp_path / "out")
    keep = f"--set=read.keep={json.dumps([EVIL])}"
    assert oblong("run", *short, keep, "--run_id=a").code == 0

    def change(manifest):
        manifest["run_id"] = manifest["tokenizer"]["engine"] = manifest["tokenizer"]["engine_reason"] = EVIL
        manifest["notes"] = [EVIL]
        manifest["files"][0]["split"] = manifest["files"][0]["bucket"] = EVIL
        manifest["totals"]["dead_letters"] = {EVIL: 1}

    reseal(tmp_path / "out/runs/a", change)
    for command in (("inspect", "--rows=1"), ("verify",)):
        said = oblong(*command, tmp_path / "out/runs/a")
        assert SPELLED in said.out
        assert is_clean(said)
    assert oblong("inspect", tmp_path / "out/runs/a", "--rows=1").out.count(SPELLED) >= 8
