"""What a tokenizer's files say: its limits, sides and special tokens."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from transforms.arrays.agreement import SPECIAL_TOKENS, class_defaults, content_of, refuse_disagreement
from transforms.arrays.errors import ConfigError
from transforms.arrays.template import Template, probe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

NO_MAXIMUM = 1e20  # Hugging Face writes int(1e30) for a model without a maximum

PAD_TOKEN_TYPE_ID = 0  # Source: transformers, which overrules what either file and its own XLNet class say

PAD_CANDIDATES = (
    "[PAD]", "<pad>", "<|pad|>", "<|finetune_right_pad_id|>", "<|endoftext|>", "<|end_of_text|>",
    "<|eot_id|>", "</s>", "<eos>", "<unk>", "[UNK]",
)  # fmt: skip


@dataclass(frozen=True)
class TokenizerFacts:
    """All that the steps behind tokenizing need to know of a tokenizer.

    Attributes:
        sha256: Of the bytes of tokenizer.json, in hex.
        vocab_size: Added tokens included.
        model_max_length: Tokens a row may have, specials included; None where the model has no maximum.
        truncation_side: "right" or "left".
        padding_side: "right" or "left".
        pad_token: None where the tokenizer has none.
        pad_token_type_id: The type of padding.
        model_input_names: The columns the model takes; None where the files do not say.
        single: Special tokens around a text.
        pair: Special tokens around a pair.
        notes: What was switched off or set aside, each a sentence for the user.
    """

    sha256: str
    vocab_size: int
    model_max_length: int | None
    truncation_side: str
    padding_side: str
    pad_token: str | None
    pad_token_type_id: int
    model_input_names: tuple[str, ...] | None
    single: Template
    pair: Template
    notes: tuple[str, ...] = ()


def plain_tokenizer(tokenizer_json: bytes) -> Tokenizer:
    """Loads a tokenizer without the truncation and padding that its file may carry.

    Args:
        tokenizer_json: The content of tokenizer.json.

    Returns:
        The tokenizer, never truncating and never padding.

    Raises:
        ConfigError: The content does not load.
    """
    with _told("does not load"):
        tokenizer = Tokenizer.from_str(tokenizer_json.decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read_facts(
    tokenizer_json: bytes,
    config_json: bytes | None = None,
    *,
    add_special_tokens: bool = True,
    ignore: Collection[str] = (),
) -> TokenizerFacts:
    """Reads what a tokenizer's files say.

    Args:
        tokenizer_json: The content of tokenizer.json.
        config_json: The content of tokenizer_config.json, if there is one.
        add_special_tokens: Whether rows get special tokens.
        ignore: Keys of tokenizer_config.json that may disagree with tokenizer.json.

    Returns:
        The facts.

    Raises:
        ConfigError: A file does not load, or the two disagree in a key that is not ignored.
    """
    tokenizer = plain_tokenizer(tokenizer_json)
    spec = json.loads(tokenizer_json)
    written = _load_config(config_json)
    defaults = class_defaults(spec, written)
    config = defaults | written
    with _told("loads, and fails on a single letter"):
        ignored = refuse_disagreement(spec, config, tokenizer, ignore, defaults.keys() - written.keys())
        single = probe(tokenizer, pair=False, add_special_tokens=add_special_tokens)
        pair = probe(tokenizer, pair=True, add_special_tokens=add_special_tokens)
    padding, truncation = spec.get("padding") or {}, spec.get("truncation") or {}
    pad_token = content_of(config.get("pad_token")) or padding.get("pad_token")
    names = config.get("model_input_names")
    return TokenizerFacts(
        sha256=hashlib.sha256(tokenizer_json).hexdigest(),
        vocab_size=tokenizer.get_vocab_size(with_added_tokens=True),
        model_max_length=_maximum(config.get("model_max_length")),
        truncation_side=config.get("truncation_side") or str(truncation.get("direction", "right")).lower(),
        padding_side=written.get("padding_side")
        or str(padding.get("direction", defaults.get("padding_side", "right"))).lower(),
        pad_token=pad_token,
        pad_token_type_id=PAD_TOKEN_TYPE_ID,
        model_input_names=tuple(names) if names else None,
        single=single,
        pair=pair,
        notes=tuple(_notes(truncation, padding, config, ignored)),
    )


@contextmanager
def _told(problem: str) -> Iterator[None]:
    """Makes what a tokenizer fails with the user's mistake: a plain Exception, or a panic, which is none."""
    try:
        yield
    except (ConfigError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        raise ConfigError(f"tokenize.tokenizer: tokenizer.json {problem}: {error}") from error


def pad_token_id(tokenizer: Tokenizer, facts: TokenizerFacts, token: str | None) -> int:
    """Finds the id of the token to pad with; nothing is guessed.

    Args:
        tokenizer: The tokenizer.
        facts: Its facts.
        token: `pad.token`; None for the tokenizer's own.

    Returns:
        The id.

    Raises:
        ConfigError: There is no pad token, or it is not in the vocabulary.
    """
    name = token if token is not None else facts.pad_token
    if name is None:
        found = [candidate for candidate in PAD_CANDIDATES if tokenizer.token_to_id(candidate) is not None]
        hint = f"; its vocabulary has {', '.join(found)}" if found else ""
        raise ConfigError(
            "pad.token: this tokenizer has no pad token; name a token of its vocabulary to pad with, "
            f"e.g. --set 'pad.token=\"{found[0] if found else '<token>'}\"'{hint}"
        )
    index = tokenizer.token_to_id(name)
    if index is None:
        raise ConfigError(f"pad.token: {name!r} is not in the tokenizer's vocabulary")
    return index


def _load_config(config_json: bytes | None) -> dict[str, Any]:
    if config_json is None:
        return {}
    try:
        config = json.loads(config_json)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"tokenize.tokenizer: tokenizer_config.json is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError("tokenize.tokenizer: tokenizer_config.json is not a JSON object")
    decoder = config.get("added_tokens_decoder") or {}
    spelled = [config.get(key) for key in SPECIAL_TOKENS]
    well_formed = {
        "special token": all(token is None or isinstance(token, str | dict) for token in spelled),
        "padding_side": config.get("padding_side") in (None, "right", "left"),
        "truncation_side": config.get("truncation_side") in (None, "right", "left"),
        "model_input_names": isinstance(config.get("model_input_names") or [], list),
        "added_tokens_decoder": isinstance(decoder, dict)
        and all(index.isdecimal() and isinstance(token, dict) for index, token in decoder.items()),
    }
    for key, good in well_formed.items():
        if not good:
            raise ConfigError(f"tokenize.tokenizer: tokenizer_config.json has a {key} that makes no sense; mend it")
    return config


def _maximum(value: object) -> int | None:
    """Source: transformers writes VERY_LARGE_INTEGER, int(1e30), where a model has no maximum."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= NO_MAXIMUM:
        return None
    return int(value)


def _notes(
    truncation: Mapping[str, Any], padding: Mapping[str, Any], config: Mapping[str, Any], ignored: list[str]
) -> Iterator[str]:
    if truncation:
        yield f"tokenizer.json truncates to {truncation.get('max_length')}: switched off"
    if padding:
        strategy = padding.get("strategy")
        length = strategy.get("Fixed") if isinstance(strategy, dict) else "the longest"
        yield f"tokenizer.json pads to {length}: switched off"
    said = config.get("pad_token_type_id", padding.get("pad_type_id"))
    if said not in (None, PAD_TOKEN_TYPE_ID):
        yield f"the type of padding is {PAD_TOKEN_TYPE_ID}, as in transformers, not the files' pad_token_type_id {said}"
    for line in ignored:
        yield f"ignored, as tokenize.ignore asks: {line}"
