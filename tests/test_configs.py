"""Each configuration in configs/ is run on a small corpus, and does what its comments say."""

from __future__ import annotations

import json
import os
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import configs
from pipeline import load_config, run
from pipeline.reading_back import read_batches

FOLDER = Path(configs.__file__).parent
TEXT = "ragged text in rectangular tensors out tokens rows batches buckets windows masks shards café 漢字 &"
WORDS = TEXT.split()


def words(count: int, start: int = 0) -> str:
    return " ".join(islice(cycle(WORDS), start, start + count))


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WordPiece tokenizer with BERT's template, in which each of the words is one token or a few."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator([words(len(WORDS))], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, **dict(zip(names, specials, strict=True))}
    return save(tokenizer, config, tmp_path_factory.mktemp("wordpiece"))


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE as GPT-2 has it: no template, no pad token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([words(200)], trainer)
    config = {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    return save(tokenizer, config | {"model_max_length": 1024}, tmp_path_factory.mktemp("gpt"))


def save(tokenizer: Tokenizer, config: dict[str, Any], folder: Path) -> Path:
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def plain(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class Ran:
    """A run of one of the configurations on some rows."""

    def __init__(self, name: str, rows: list[dict[str, Any]], tokenizer: Path, tmp: Path, *overrides: str) -> None:
        (tmp / "corpus").mkdir()
        (tmp / "corpus" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        paths = {
            "read.files": f"{tmp}/corpus/*.jsonl",
            "tokenize.tokenizer": f"{tokenizer}",
            "write.path": f"{tmp}/out",
        }
        said = [f"{key}={json.dumps(path)}" for key, path in paths.items()]
        self.manifest = run(load_config(FOLDER / name, [*said, *overrides]))
        self.folder = f"{tmp}/out/runs/{self.manifest['run_id']}"
        self.totals = self.manifest["totals"]

    def batches(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """What the manifest says of a batch's file, and the batch: matrices, and lists for columns without cells."""
        found = []
        for file in self.manifest["files"]:
            rows = [row for batch in read_batches(self.folder, file, self.manifest) for row in batch.to_pylist()]
            assert len(rows) == file["rows"]
            for start in range(0, len(rows), file["rows_per_batch"]):
                batch = rows[start : start + file["rows_per_batch"]]
                columns = {name: [row[name] for row in batch] for name in batch[0]}
                cells = {name: np.array(c) if isinstance(c[0], list) else c for name, c in columns.items()}
                found.append((file, cells))
        assert found
        return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_configurations_are_placeholders_for_paths_and_pass_as_they_stand(path):
    config = load_config(path)
    assert (config.read.files, config.tokenize.tokenizer, config.write.path) == ("corpus/*.jsonl", "tokenizer", "out")
    assert f"oblong run --config configs/{path.name} --input" in path.read_text("utf-8")
    assert list(yaml.safe_load(path.read_text("utf-8")))[:2] == ["read", "tokenize"]


def test_bert_pairs_are_cut_to_512_tokens_and_batches_keep_to_the_budget(wordpiece, tmp_path):
    sizes = [(10, 20), (30, 5), (50, 40), (200, 20), (300, 500), (600, 40), (0, 7), (400, 400)] * 12
    rows = [{"text": words(a), "text_pair": words(b, 3)} for a, b in sizes]
    ran = Ran("bert-pairs-512.yaml", rows, wordpiece, tmp_path)
    assert ran.totals["rows_written"] == len(rows)
    assert ran.totals["rows_truncated"] > 0
    assert {file["split"] for file in ran.manifest["files"]} <= {"train", "validation"}
    assert {file["bucket"]: file["rows_per_batch"] for file in ran.manifest["files"]} == {
        64: 256,
        128: 128,
        256: 64,
        512: 32,
    }
    widest = 0
    for file, batch in ran.batches():
        ids, mask, types = batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]
        assert ids.shape == mask.shape == types.shape
        assert ids.shape[1] == -(-mask.sum(1).max() // 8) * 8  # the longest row, rounded up to 8
        assert ids.size <= 16384
        assert mask.sum(1).max() <= file["bucket"]
        assert (ids[mask == 0] == 0).all()
        assert (types[mask == 0] == 0).all()
        assert ((ids == 3).sum(1) == 2).all()  # both [SEP] survive
        assert (types.max(1) == 1).all()
        widest = max(widest, ids.shape[1])
    assert widest == 512


def test_long_documents_come_in_windows_that_make_up_the_whole_text(wordpiece, tmp_path):
    sizes = [10, 300, 5000, 9000, 4000, 13000]
    rows = [{"text": words(size, size)} for size in sizes]
    ran = Ran("long-documents-4096.yaml", rows, wordpiece, tmp_path)
    assert ran.totals["tokens_dropped"] == ran.totals["rows_truncated"] == 0
    tokenizer = plain(wordpiece)
    whole = [tokenizer.encode(row["text"], add_special_tokens=False).ids for row in rows]
    assert max(map(len, whole)) > 4096
    share = 4096 - 2
    windows = [1 + max(0, -(-(len(ids) - share) // (share - 256))) for ids in whole]
    assert ran.totals["windows"] == sum(windows) - len(rows) > 5
    found: dict[int, dict[int, list[int]]] = {}
    for _, batch in ran.batches():
        assert batch["input_ids"].shape[1] % 512 == 0
        assert batch["input_ids"].size <= 32768
        for ids, mask, length, row_id in zip(*(batch[name] for name in batch), strict=True):
            _, position, window = row_id.split("#")
            assert mask.sum() == length
            assert mask[:length].all()
            found.setdefault(int(position), {})[int(window)] = ids[1 : length - 1].tolist()
    assert [len(found[position]) for position in sorted(found)] == windows
    for position, expected in zip(sorted(found), whole, strict=True):
        joined = found[position][0]
        for window in range(1, len(found[position])):
            assert joined[-256:] == found[position][window][:256]
            joined = joined + found[position][window][256:]
        assert joined == expected


def test_long_documents_above_the_cap_of_windows_are_dead_letters(wordpiece, tmp_path):
    rows = [{"text": words(20000)}, {"text": words(30)}]
    caps = ("truncate.max_windows=2", "run.max_dead_letters=0.5")
    ran = Ran("long-documents-4096.yaml", rows, wordpiece, tmp_path, *caps)
    assert ran.totals["dead_letters"] == {"too_many_windows": 1}
    assert ran.totals["rows_written"] == 1


def test_causal_rows_are_padded_with_end_of_text_and_only_the_mask_tells(gpt, tmp_path):
    sizes = [3, 40, 700, 100, 1500, 20, 9] * 3
    rows = [{"text": words(size, i) + ("<|endoftext|>" if i % 2 else "")} for i, size in enumerate(sizes)]
    ran = Ran("causal-lm.yaml", rows, gpt, tmp_path)
    tokenizer = plain(gpt)
    whole = [tokenizer.encode(row["text"]).ids for row in rows]
    end = tokenizer.token_to_id("<|endoftext|>")
    assert ran.manifest["config"]["pad"]["token"] == "<|endoftext|>"
    assert [column["name"] for column in ran.manifest["schema"]] == ["input_ids", "attention_mask"]
    assert ran.totals["tokens"] == sum(map(len, whole))  # each token once: windows share nothing
    assert ran.totals["windows"] > 0
    labelled = 0
    for _, batch in ran.batches():
        ids, mask = batch["input_ids"], batch["attention_mask"]
        assert ids.shape[1] % 8 == 0
        assert ids.size <= 32768
        assert (ids[mask == 0] == end).all()
        assert (np.diff(mask, axis=1) <= 0).all()  # padding on the right
        labels = np.where(mask == 1, ids, -100)
        labelled += int((labels == end).sum())
    assert labelled == sum(ids.count(end) for ids in whole) > 0  # real ends of text stay in the loss


def test_xla_batches_have_three_shapes_and_the_remainder_is_counted(wordpiece, tmp_path):
    rows = [{"text": words(size)} for size in [5] * 150 + [150] * 70 + [700] * 40 + [380] * 3]
    ran = Ran("xla-buckets.yaml", rows, wordpiece, tmp_path)
    shapes = {batch["input_ids"].shape for _, batch in ran.batches()}
    assert shapes == {(128, 128), (64, 256), (32, 512)}
    assert all(file["format"] == "tfrecord" for file in ran.manifest["files"])
    assert {file["bucket"]: file["width"] for file in ran.manifest["files"]} == {128: 128, 256: 256, 512: 512}
    written = ran.totals["rows_written"]
    assert written % 32 == 0
    assert ran.totals["dropped"]["remainder"] == len(rows) - written > 0
    for _, batch in ran.batches():
        assert (batch["input_ids"][batch["attention_mask"] == 0] == 0).all()


def test_growing_corpus_is_read_once_and_a_young_file_waits(wordpiece, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    settings = {
        "read.files": f"{corpus}/*.jsonl",
        "read.root": str(corpus),
        "tokenize.tokenizer": str(wordpiece),
        "write.path": f"{tmp_path}/out",
    }

    def add(day: str) -> list[str]:
        said = [f"{key}={json.dumps(value)}" for key, value in {**settings, "run.id": day}.items()]
        return [entry["file"] for entry in run(load_config(FOLDER / "growing.yaml", said))["inputs"]]

    def arrive(name: str, *, minutes: int) -> None:
        (corpus / name).write_text(json.dumps({"text": words(40, minutes)}) + "\n")
        os.utime(corpus / name, (time.time() - 60 * minutes,) * 2)

    arrive("a.jsonl", minutes=60)
    arrive("b.jsonl", minutes=9)
    assert add("monday") == ["a.jsonl"]
    arrive("b.jsonl", minutes=11)
    assert add("tuesday") == ["b.jsonl"]
