"""The demo: a real corpus, a tokenizer trained on it and a config, made from what the machine has.

    folder/
    ├── config.yaml                  written first: a folder with it is a demo
    ├── corpus/pairs-*.jsonl         signatures and docstrings of the standard library
    ├── tokenizer/tokenizer.json     WordPiece, trained on that corpus
    └── out/                         the job's own, left alone here

The same Python and the same `tokenizers` make the same bytes.
"""

from __future__ import annotations

import glob
import json
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from pipeline.demo_corpus import stdlib_rows
from transforms.arrays.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.demo_corpus import Row

SHARDS = 4
VOCABULARY = 8000
MODEL_MAX_LENGTH = 512
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"

SHARD_NAMES = tuple(f"pairs-{i:05}-of-{SHARDS:05}.jsonl" for i in range(SHARDS))
OWN_NAMES = ("config.yaml", "config.yaml.bak", "corpus", "tokenizer", "out")
TOKENIZER_NAMES = ("tokenizer.json", "tokenizer_config.json")

MARK = "# The demo of Oblong."
CONFIG = """\
{mark} `oblong demo` writes this file anew and keeps a changed one as config.yaml.bak.
# A key left out has its default; a path is seen from the folder that the command runs in.

read:
  files: {files} # Python's standard library, as JSON Lines
  text: text                   # the signature, e.g. def decode(self, s, _w=WHITESPACE.match)
  text_pair: text_pair         # its docstring, or its source where it has none
  keep: [id, kind, lines]      # carried through to the shards unchanged

tokenize:
  tokenizer: {tokenizer} # a folder with tokenizer.json and tokenizer_config.json

truncate:
  strategy: longest_first      # takes tokens from the longer of the two, as often as it is the longer
  max_length: 128              # tokens of a row, [CLS] and [SEP] included

bucket:
  boundaries: doubling         # 32, 64, 128: rows meet rows of about their own length

pad:
  to: longest                  # of the batch
  multiple_of: 8               # and up to the next multiple of 8

batch:
  rows: 64

write:
  path: {out}
  formats: [parquet, tfrecord]
"""


@dataclass(frozen=True)
class DemoFiles:
    """What `make_demo` made.

    Attributes:
        folder: The demo's folder, as given.
        corpus: The JSON Lines files.
        tokenizer: The tokenizer's folder.
        config: The configuration file.
        rows: Rows of the corpus.
        documented: How many of them pair a signature with a docstring; the rest with the body's source.
        vocab_size: Tokens of the tokenizer.
    """

    folder: Path
    corpus: tuple[Path, ...]
    tokenizer: Path
    config: Path
    rows: int
    documented: int
    vocab_size: int


def make_demo(folder: str | Path) -> DemoFiles:
    """Makes a corpus, a tokenizer and a config, without a network.

    Args:
        folder: Where; made if it is not there. Paths in the config start with it as it is given.

    Returns:
        The files, and how much is in them.

    Raises:
        ConfigError: The folder holds something else than a demo, cannot be written, or this Python came
            without its library's sources.
    """
    root = Path(folder)
    try:
        _refuse_foreign(root)
        return _make(root)
    except OSError as error:
        raise ConfigError(f"demo: cannot write {error.filename or root}: {error.strerror}") from error


def _refuse_foreign(root: Path) -> None:
    """Refuses a folder in which something that is not a demo's would be written over or mixed up."""
    if not root.exists():
        return
    if not root.is_dir():
        raise ConfigError(f"demo: {root} is a file; name a new folder")
    own = {".": OWN_NAMES, "corpus": SHARD_NAMES, "tokenizer": TOKENIZER_NAMES}
    for place, names in own.items():
        inside = sorted((root / place).iterdir()) if (root / place).is_dir() else []
        for path in inside:
            if path.name not in names:
                raise ConfigError(f"demo: {root} holds {path}, which no demo made; name a new folder")
    config = root / "config.yaml"
    if any(root.iterdir()) and not (config.is_file() and config.read_bytes().startswith(MARK.encode())):
        raise ConfigError(f"demo: {root} holds files but no demo's config.yaml; name a new folder")


def _make(root: Path) -> DemoFiles:
    """Writes the demo's files, over those of an earlier demo."""
    corpus = tuple(root / "corpus" / name for name in SHARD_NAMES)
    tokenizer, config = root / "tokenizer", root / "config.yaml"
    for path in (corpus[0].parent, tokenizer):
        path.mkdir(parents=True, exist_ok=True)
    if config.exists() and config.read_text("utf-8") != _config(root):
        config.replace(root / "config.yaml.bak")
    _write(config, _config(root))

    library = Path(sysconfig.get_path("stdlib"))
    found = list(stdlib_rows(library))
    if not found:
        raise ConfigError(f"demo: {library} holds no library sources; use a Python that came with them")
    rows = [row for row, _ in found]
    for i, path in enumerate(corpus):
        _write_rows(path, rows[len(rows) * i // SHARDS : len(rows) * (i + 1) // SHARDS])
    trained = train([text for row in rows for text in (row["text"], row["text_pair"])])
    texts = (trained.to_str(pretty=True), json.dumps(_tokenizer_config(), indent=2))
    for name, text in zip(TOKENIZER_NAMES, texts, strict=True):
        _write(tokenizer / name, text + "\n")
    documented = sum(documented for _, documented in found)
    return DemoFiles(root, corpus, tokenizer, config, len(rows), documented, trained.get_vocab_size())


def train(texts: Sequence[str]) -> Tokenizer:
    """Trains a lowercasing WordPiece tokenizer as BERT's; the same texts give the same one.

    Args:
        texts: The corpus.

    Returns:
        A tokenizer of at most 8000 tokens.

    >>> train(["a rose is a rose", "is a rose"]).encode("Rose", "is").tokens
    ['[CLS]', 'rose', '[SEP]', 'is', '[SEP]']
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    seen = "".join(sorted(set().union(*texts)))
    characters = sorted({c for c in normalizer.normalize_str(seen) if not c.isspace()})
    # The trainer numbers continuing characters in the order of a randomly seeded hash map and breaks
    # ties between merges by these numbers. Given up front they are the same in every process.
    pinned = [*SPECIALS, *characters, *(PREFIX + c for c in characters)]
    learner = Tokenizer(models.WordPiece(unk_token=SPECIALS[1]))
    learner.normalizer, learner.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=pinned, show_progress=False)
    learner.train_from_iterator(texts, trainer)
    # A second tokenizer around the vocabulary: the first holds the pinned characters for special tokens.
    tokenizer = Tokenizer(models.WordPiece(learner.get_vocab(), unk_token=SPECIALS[1]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=PREFIX)
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _tokenizer_config() -> dict[str, object]:
    """What Hugging Face's loaders and Oblong read beside tokenizer.json."""
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "model_max_length": MODEL_MAX_LENGTH,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **dict(zip(names, SPECIALS, strict=True)),
    }


def _config(root: Path) -> str:
    """Fills in the config's paths."""
    return CONFIG.format(
        mark=MARK,
        files=_yaml(Path(glob.escape(str(root))) / "corpus" / "*.jsonl").ljust(21),
        tokenizer=_yaml(root / "tokenizer").ljust(17),
        out=_yaml(root / "out"),
    )


def _yaml(path: Path) -> str:
    """Writes a path for YAML: plain, or as a JSON string where it has characters that mean something."""
    text = path.as_posix()
    return text if re.fullmatch(r"[A-Za-z/.][\w/.*-]*", text) else json.dumps(text, ensure_ascii=False)


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows as JSON Lines."""
    _write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write(path: Path, text: str) -> None:
    """Writes a file, or leaves it as it is: one that has not changed is no new input."""
    if not path.exists() or path.read_bytes() != text.encode():
        path.write_bytes(text.encode())
