import json
import subprocess
import sys
import sysconfig
from collections import Counter
from json.decoder import JSONDecoder
from pathlib import Path

import pytest
import yaml
from tokenizers import Tokenizer

from pipeline.demo import SPECIALS, make_demo, train
from transforms.arrays.errors import ConfigError


@pytest.fixture
def small(library, monkeypatch):
    """`make_demo` on that library."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(library))
    return make_demo


def test_demo_made_again_leaves_equal_files_alone(small, tmp_path):
    made = make_demo(tmp_path / "demo")
    before = {path: path.stat().st_mtime_ns for path in [*made.corpus, made.config]}
    make_demo(tmp_path / "demo")
    assert {path: path.stat().st_mtime_ns for path in [*made.corpus, made.config]} == before


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_standard_library_gives_ten_thousand_pairs_and_a_tokenizer_for_them(tmp_path):
    made = make_demo(tmp_path / "demo")
    rows = [json.loads(line) for path in made.corpus for line in path.read_text("utf-8").split("\n")[:-1]]
    assert len(rows) == made.rows >= 10_000
    assert made.rows / 2 < made.documented < made.rows
    assert len({row["id"] for row in rows}) == len(rows)
    assert set(Counter(row["kind"] for row in rows)) == {"module", "class", "function", "method"}
    decode = next(row for row in rows if row["id"] == "json.decoder.JSONDecoder.decode")
    assert decode["text"].startswith("def decode(self, s")
    assert decode["text_pair"].split() == JSONDecoder.decode.__doc__.split()
    assert decode["kind"] == "method"

    tokenizer = Tokenizer.from_file(str(made.tokenizer / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == made.vocab_size == 8000
    encoded = tokenizer.encode_batch([(row["text"], row["text_pair"]) for row in rows[::10]])
    assert sum(e.ids.count(tokenizer.token_to_id("[UNK]")) for e in encoded) == 0
    lengths = [len(e.ids) for e in encoded]
    assert min(lengths) <= 32  # the job meets every bucket and cuts rows
    assert max(lengths) > 128


def test_transformers_loads_the_same_tokenizer(small, tmp_path):
    transformers = pytest.importorskip("transformers")
    made = small(tmp_path / "demo")
    theirs = transformers.AutoTokenizer.from_pretrained(made.tokenizer)
    ours = Tokenizer.from_file(str(made.tokenizer / "tokenizer.json"))
    for pair in [("A Square", "area"), ("Café [SEP] 漢", "b")]:
        expected = ours.encode(*pair)
        found = theirs(*pair)
        assert found["input_ids"] == expected.ids
        assert found["token_type_ids"] == expected.type_ids
    assert [theirs.pad_token_id, theirs.unk_token_id, theirs.model_max_length] == [0, 1, 512]
    assert theirs.model_input_names == ["input_ids", "token_type_ids", "attention_mask"]


TRAIN = """
import sys
from pathlib import Path
from pipeline.demo import train
print(train(Path(sys.argv[1]).read_text("utf-8").splitlines()).to_str())
"""


def test_training_is_the_same_in_every_process():
    source = str(Path(sysconfig.get_path("stdlib"), "argparse.py"))
    outputs = {
        subprocess.run([sys.executable, "-c", TRAIN, source], capture_output=True, check=True).stdout for _ in range(3)
    }
    assert len(outputs) == 1


def test_tokenizer_knows_its_specials_and_no_others():
    tokenizer = train(["a b", "ab ac"])
    assert [tokenizer.id_to_token(i) for i in range(5)] == list(SPECIALS)
    assert {t.content for t in tokenizer.get_added_tokens_decoder().values()} == set(SPECIALS)
    assert tokenizer.encode("b ##c").tokens == ["[CLS]", "b", "[UNK]", "[UNK]", "c", "[SEP]"]


def test_second_demo_gives_the_same_bytes_and_leaves_runs_alone(small, tmp_path):
    made = small(tmp_path / "demo")
    first = contents(made.folder)
    (made.folder / "out").mkdir()
    (made.folder / "out" / "shard").write_text("theirs")
    assert small(tmp_path / "demo") == made
    assert contents(made.folder) == first | {Path("out/shard"): b"theirs"}


def test_changed_config_is_kept_aside(small, tmp_path):
    made = small(tmp_path / "demo")
    written = made.config.read_text("utf-8")
    made.config.write_text(written + "run: {seed: 1}\n", "utf-8")
    small(tmp_path / "demo")
    assert made.config.read_text("utf-8") == written
    assert (made.folder / "config.yaml.bak").read_text("utf-8") == written + "run: {seed: 1}\n"


@pytest.mark.parametrize("folder", ["demo", "a b: #1/it's", "null", "demo[1]", "."])
def test_config_is_yaml_with_paths_as_given(small, tmp_path, monkeypatch, folder):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    made = small(folder)
    config = yaml.safe_load(made.config.read_text("utf-8"))
    assert list(Path().glob(config["read"]["files"])) != []
    assert Path(config["tokenize"]["tokenizer"]) == Path(folder) / "tokenizer"
    assert Path(config["write"]["path"]) == Path(folder) / "out"
    assert config["read"]["keep"] == ["id", "kind", "lines"]
    assert config["write"]["formats"] == ["parquet", "tfrecord"]


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (["notes.txt"], "notes.txt"),
        (["config.yaml"], "no demo's config.yaml"),
        (["corpus/mine.jsonl"], "mine.jsonl"),
        (["out/runs/x"], "no demo's config.yaml"),
        (["tokenizer/tokenizer.json", "tokenizer/vocab.txt"], "vocab.txt"),
    ],
)
def test_folder_of_something_else_is_refused_and_untouched(small, tmp_path, files, named):
    folder = tmp_path / "mine"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    before = contents(folder)
    with pytest.raises(ConfigError, match=named) as error:
        small(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)
    assert contents(folder) == before


def test_file_or_unwritable_place_is_refused(small, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        small(tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot write"):
        small(tmp_path / "file" / "demo")
    with pytest.raises(ConfigError, match="cannot write"):
        small("/proc/demo")


def test_python_without_sources_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="no library sources"):
        make_demo(tmp_path / "demo")
