"""Configurations of somebody else's: what is refused, in one line, and what they can never do."""

import os
import re
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.yaml_text import load_yaml
from tests.runs import oblong, write_jsonl, write_tokenizer
from transforms.arrays.errors import ConfigError


def laughs(levels=9, times=9):
    """YAML of a few hundred bytes that stands for billions of values."""
    lines = ["  a0: &a0 [" + ", ".join("x" * times) + "]"]
    lines += [f"  a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * times) + "]" for i in range(1, levels)]
    return "beam:\n" + "\n".join(lines)


REFUSED = [
    ("billion laughs", laughs(), "aliases stand for more than 10000 values; write them out"),
    ("a value that holds itself", "beam: &a {x: *a}", "line 1, column 14: *a holds itself"),
    ("100,000 lists deep", "read: {files: " + "[" * 100_000, "more than 50 levels deep"),
    ("mappings 3,000 deep", "{a: " * 3_000, "more than 50 levels deep"),
    ("a key twice", "read: {text: a, text: b}", "line 1, column 17: the key 'text' is there twice; leave one out"),
    ("a section twice", "read: {}\nread: {}", "line 2, column 1: the key 'read' is there twice"),
    (
        "a call",
        "read: {text: !!python/object/apply:os.system [touch pwned]}",
        "python/object/apply:os.system cannot be",
    ),
    ("an object", "!!python/object/new:os.system [touch pwned]", "python/object/new:os.system cannot be used here"),
    ("a module", "read: {text: !!python/name:os.system }", "python/name:os.system cannot be used here"),
    ("a tag of one's own", "read: {text: !mine a}", "a value of the kind !mine cannot be used here"),
    ("a set", "read: {keep: !!set {a, b}}", "tag:yaml.org,2002:set cannot be used here"),
    ("5000 digits", "batch: {rows: " + "9" * 5_000 + "}", "is no integer of 64 bits"),
    ("2 ** 63", "run: {seed: 9223372036854775808}", "'9223372036854775808' is no integer of 64 bits"),
    ("no number", "run: {seed: !!int abc}", "'abc' is no integer of 64 bits"),
    ("no truth value", "tokenize: {add_special_tokens: !!bool abc}", "'abc' is no truth value"),
    ("a number as a key", "read: {keep: {1: int64}}", "line 1, column 15: a key is to be text; put it in quotes: '1'"),
    ("a truth value as a key", "split: {yes: 1.0}", "a key is to be text; put it in quotes: 'yes'"),
    ("a list as a key", "? [a]\n: b", "a key is to be text; put it in quotes"),
    ("half a surrogate pair", 'write: {path: "\\ud800"}', "write.path: '\\ud800' has a character that is no text"),
    ("NUL", 'read: {files: [a, "a\\0b"]}', "read.files[1]: 'a\\x00b' has a character that is no text"),
    ("an id with a folder", "run: {id: ../x}", "run.id: '../x' cannot name a folder"),
    ("an id of dots", "run: {id: '..'}", "run.id: '..' cannot name a folder"),
    ("an absolute id", "run: {id: /x}", "run.id: '/x' cannot name a folder"),
    ("an id of two lines", 'run: {id: "a\\nb"}', "cannot name a folder"),
    ("an id as long as a page", "run: {id: " + "a" * 201 + "}", "200 of them at the most"),
    ("an id that names a manifest", "run: {id: manifest.json}", "no name that ends as manifest.json does"),
    (
        "a program of one's own",
        "beam: {setup_file: setup.py}",
        "beam.setup_file: a file cannot set this option of Beam",
    ),
    ("a flag in a key", "beam: {'setup_file=setup.py': true}", "beam.setup_file: a file cannot set this option"),
    ("a job server", "beam: {job_endpoint: 'evil:1'}", "give it on the command line: --job_endpoint=..."),
    ("a program as an environment", "beam: {environment_config: '{}'}", "beam.environment_config: a file cannot"),
    ("a secret", "beam: {s3_secret_access_key: hush}", "beam.s3_secret_access_key: a file cannot set this"),
]


@pytest.mark.parametrize(("content", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_hostile_file_is_refused_in_one_line_with_exit_2(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(content)
    found = oblong("run", "--config", "c.yaml")
    assert found.code == 2
    assert said in found.err
    assert found.err.count("\n") == 1
    assert len(found.err) < 1_000
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_file_of_gigabytes_and_a_device_without_end_are_refused_without_being_read(tmp_path):
    (tmp_path / "c.yaml").touch()
    os.truncate(tmp_path / "c.yaml", 5 << 30)
    for path in (tmp_path / "c.yaml", "/dev/zero"):
        found = oblong("run", "--config", path)
        assert (found.code, found.err) == (
            2,
            f"oblong: --config: {path} has more than 4,194,304 bytes; is it the file that you meant?\n",
        )


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/x", "../../x", "dead_letters", "tokenizer"])
def test_split_cannot_leave_the_attempt(tmp_path, name):
    source = write_jsonl(tmp_path / "a.jsonl", [{"text": "w1"}])
    short = ("--input", source, "--tokenizer", write_tokenizer(tmp_path / "tok"), "--output", tmp_path / "out")
    said = oblong("run", *short, "--set", f"split={{'{name}': 1.0}}")
    assert said.code == 2
    assert "this cannot be the name of a folder of shards" in said.err
    assert not (tmp_path / "out").exists()


def test_plain_yaml_is_what_it_was():
    text = "a: &x {b: [1, 0x1f, 1.5, .nan, yes, ~, 'q']}\nc: {<<: *x, d: *x}\ne: 2026-11-22\n"
    found = load_yaml(text)
    assert str(found["a"]["b"]) == "[1, 31, 1.5, nan, True, None, 'q']"
    assert found["c"]["b"] is not None
    assert found["c"]["d"] == found["a"]
    assert found["e"] == "2026-11-22"


def test_override_is_refused_as_a_file_is_and_other_words_stand_as_they_are():
    with pytest.raises(ConfigError, match=re.escape("split: the key 'a' is there twice; leave one out")):
        load_config(None, ["split={a: 1, a: 2}"])
    assert load_config(None, ["read.files=*.jsonl", "run.id=2026-11-22"]).read.files == "*.jsonl"


def test_secrets_are_refused_and_not_repeated():
    for flag in ("--s3_secret_access_key=hush", "--s3_session_token=hush", "--azure_connection_string=hush"):
        said = oblong("run", "--input=a.jsonl", "--tokenizer=t", "--output=o", flag)
        assert said.code == 2
        assert "give secrets in the environment" in said.err
        assert "hush" not in said.err + said.out


def test_sources_neither_unpickle_nor_evaluate():
    root = Path(__file__).parents[2]
    modules, calls = r"(pickle|cloudpickle|dill|marshal|shelve)", r"yaml\.(load|unsafe_load|full_load)\("
    forbidden = re.compile(
        rf"\b{modules}\.|import {modules}|(?<![.\w])(eval|exec)\(|{calls}|allow_pickle=True|os\.system|shell=True"
    )
    files = [path for folder in ("pipeline", "transforms", "configs") for path in (root / folder).rglob("*.py")]
    assert len(files) > 60
    assert [path.name for path in files if forbidden.search(path.read_text("utf-8"))] == []
    assert forbidden.search("import pickle")
    assert forbidden.search("x = eval(y)")
