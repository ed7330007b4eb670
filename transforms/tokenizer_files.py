"""The files of a tokenizer, wherever they are."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from transforms.arrays.errors import ConfigError, JobError, blame
from transforms.arrays.facts import TokenizerFacts, pad_token_id, plain_tokenizer, read_facts
from transforms.arrays.pad import Padding
from transforms.arrays.shape import Shape, make_shape
from transforms.files import exists, is_local, require_store
from transforms.small_files import read_small, require_file

if TYPE_CHECKING:
    from transforms.arrays.engines import Tokenization

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"

LARGEST = 1 << 29  # bytes of a tokenizer.json: ten times what the largest have

HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


class TokenizerFiles(NamedTuple):
    """What a tokenizer is made of.

    Attributes:
        path: Of its tokenizer.json.
        tokenizer_json: Its content.
        config_json: The content of tokenizer_config.json; None where there is none.
    """

    path: str
    tokenizer_json: bytes
    config_json: bytes | None


def read_tokenizer_files(path: str) -> TokenizerFiles:
    """Reads a tokenizer.json, or a folder with one.

    Args:
        path: `tokenize.tokenizer`.

    Returns:
        The files' contents.

    Raises:
        ConfigError: There is no tokenizer.json, and the message says how to make one; or it is no file, or too large.
        JobError: The file system does not answer.
    """
    require_store(path, "tokenize.tokenizer")
    try:
        return _read(path)
    except (JobError, OSError) as error:
        raise blame(error, "tokenize.tokenizer") from error


def _read(path: str) -> TokenizerFiles:
    if Path(path).is_file() if is_local(path) else path.endswith(".json") and exists(path):
        return TokenizerFiles(path, read_small(path, LARGEST), None)
    folder = path.rstrip("/")
    tokenizer, config = posixpath.join(folder, TOKENIZER), posixpath.join(folder, CONFIG)
    if exists(tokenizer):
        for file in (tokenizer, config):
            require_file(file)
        config_json = read_small(config, LARGEST) if exists(config) else None
        return TokenizerFiles(tokenizer, read_small(tokenizer, LARGEST), config_json)
    raise ConfigError(f"tokenize.tokenizer: {_what_is_missing(path)}")


def _what_is_missing(path: str) -> str:
    """Says why there is no tokenizer at a path, with the command that makes one."""
    folder = path.rstrip("/")
    if is_local(path) and Path(path).is_dir():
        return f"the folder {path} has no {TOKENIZER}; make one: {_command(repr(folder), folder)}"
    if is_local(path) and not path.endswith(".json") and not path.startswith((".", "/")) and HUB_NAME.fullmatch(path):
        name, _, revision = path.partition("@")
        where = repr(name) + (f", revision={revision!r}" if revision else "")
        return (
            f"there is no file or folder {path}; names of a hub are not available yet, so save it first: "
            f"{_command(where, 'tokenizer')}, then --tokenizer tokenizer"
        )
    return f"there is no file or folder {path}"


def _command(where: str, folder: str) -> str:
    """Spells out the command that saves a tokenizer with its tokenizer.json."""
    load = f"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained({where}).save_pretrained({folder!r})"
    return f'python -c "{load}"'


def facts_of(files: TokenizerFiles, tokenization: Tokenization) -> TokenizerFacts:
    """Says what a tokenizer's files say, as the section `tokenize` wants them read: see `read_facts`."""
    return read_facts(
        files.tokenizer_json,
        files.config_json,
        add_special_tokens=tokenization.add_special_tokens,
        ignore=tokenization.ignore,
    )


def shape_for(tokenization: Tokenization, **sections: Any) -> Shape:
    """Resolves the sections of a job against a tokenizer, for use of the transforms by themselves.

    Args:
        tokenization: The section `tokenize`.
        **sections: As `make_shape` takes them: pair, truncation, bucketing, batching, padding, columns,
            seed, shards, splits.

    Returns:
        The shape that Truncate, BucketByLength, Pad and WriteShards take.

    Raises:
        ConfigError: The sections contradict each other or the tokenizer.
    """
    files = read_tokenizer_files(tokenization.tokenizer)
    facts = facts_of(files, tokenization)
    padding = sections.get("padding") or Padding()
    tokenizer = plain_tokenizer(files.tokenizer_json)
    pad_id = pad_token_id(tokenizer, facts, padding.token) if padding.pads else None
    return make_shape(facts, pad_id, **sections)
