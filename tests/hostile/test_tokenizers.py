"""Tokenizers of somebody else's: what cannot work is refused in one line; what one fails on is a dead letter."""

import json
import os

import pytest
from tokenizers import Tokenizer, models

from tests.runs import manifest_of, oblong, write_jsonl, write_tokenizer

BASE = json.loads(Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "[PAD]": 2}, unk_token="[UNK]")).to_str())


def with_(**changes):
    return json.dumps(BASE | changes).encode()


SEQUENCE = b'{"type": "Sequence", "normalizers": ['
TEMPLATE = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}


def words(vocab, unknown):
    return with_(model={"type": "WordLevel", "vocab": vocab, "unk_token": unknown})


def replace(expression):
    return with_(normalizer={"type": "Replace", "pattern": {"Regex": expression}, "content": ""})


UNKNOWN = with_(post_processor=TEMPLATE | {"single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}]})
MERGES = with_(model={"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]})
TABLE = with_(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})

REFUSED = [
    ("empty", b"", None, "does not load"),
    ("no JSON", b"\xff\xfe", None, "does not load"),
    ("200,000 lists deep", b"[" * 200_000, None, "does not load"),
    ("normalizers 5,000 deep", with_().replace(b"null", SEQUENCE * 5_000, 1), None, "does not load"),
    ("of other types", with_(model=3), None, "does not load"),
    ("a negative id", words({"a": -1}, "a"), None, "does not load"),
    ("ids beyond 31 bits", words({"a": 2**31}, "a"), None, "fails"),
    ("an unknown word without a token", words({"b": 0}, "z"), None, "fails"),
    ("merges of unknown words", MERGES, None, "does not load"),
    ("a broken expression", replace("("), None, "does not load"),
    ("a broken table", TABLE, None, "does not load"),
    ("a template of unknown tokens", UNKNOWN, None, "fails"),
    ("a config 200,000 lists deep", with_(), b"[" * 200_000, "tokenizer_config.json is not JSON"),
    ("a config that is a list", with_(), b"[]", "tokenizer_config.json is not a JSON object"),
    ("a config of other types", with_(), b'{"added_tokens_decoder": {"a": 1}}', "that makes no sense; mend it"),
]  # fmt: skip


def run(folder, rows):
    source = write_jsonl(folder / "a.jsonl", [{"text": row} for row in rows])
    flags = ("--set=run.max_dead_letters=1", "--set=pad.token='[PAD]'", "--set=truncate.max_length=8", "--json")
    return oblong("run", "--input", source, "--tokenizer", folder / "tok", "--output", folder / "out", *flags)


@pytest.mark.parametrize("case", REFUSED, ids=[case[0] for case in REFUSED])
def test_tokenizer_that_cannot_work_is_refused_in_one_line_with_exit_2(tmp_path, case):
    _, tokenizer, config, said = case
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_bytes(tokenizer)
    if config is not None:
        (tmp_path / "tok" / "tokenizer_config.json").write_bytes(config)
    found = run(tmp_path, ["a"])
    assert found.code == 2, found.err
    assert found.err.startswith("oblong: tokenize.tokenizer: ")
    assert said in found.err
    assert found.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_only_files_are_read_of_a_tokenizer_and_nothing_hangs_on_a_pipe(tmp_path, name, make):
    (write_tokenizer(tmp_path / "tok") / name).unlink()
    make(tmp_path / "tok" / name)
    found = run(tmp_path, ["w1"])
    assert found.code == 2
    assert found.err.startswith(f"oblong: tokenize.tokenizer: {tmp_path}/tok/{name} is a folder, a pipe or a device")
    assert found.err.count("\n") == 1


def test_tokenizer_of_gigabytes_is_refused_without_being_read(tmp_path):
    os.truncate(write_tokenizer(tmp_path / "tok") / "tokenizer.json", 5 << 30)
    found = run(tmp_path, ["w1"])
    assert found.code == 2
    assert "tokenizer.json has more than 536,870,912 bytes" in found.err


def test_code_that_a_tokenizer_names_is_never_loaded(tmp_path):
    config = {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}, "tokenizer_class": "Evil"}
    write_tokenizer(tmp_path / "tok", **config)
    (tmp_path / "tok" / "evil.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    assert manifest_of(run(tmp_path, ["w1"]))["totals"]["rows_written"] == 1
    assert not (tmp_path / "pwned").exists()


def test_text_on_which_an_expression_never_ends_is_a_dead_letter(tmp_path):
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_bytes(replace("(x+x+)+y"))
    totals = manifest_of(run(tmp_path, ["a", "x" * 40, "a a"]))["totals"]
    assert totals["rows_written"] == 2
    assert totals["dead_letters"] == {"tokenizer_error": 1}
