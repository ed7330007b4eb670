"""What a tokenizer's files say: its limits, sides, special tokens, and whether the two files agree."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

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

# What transformers goes by where a tokenizer's class rebuilds it and tokenizer_config.json leaves the key out.
# Source: the classes' own defaults, transformers 5.23.
CLASS_DEFAULTS: dict[str, dict[str, Any]] = {
    name: defaults
    for names, defaults in (
        (
            "Bert ConvBert DistilBert Electra Funnel LayoutLM Lxmert MobileBert MPNet Splinter SqueezeBert",
            {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True},
        ),
        ("Roberta Bart GPT2 LED Longformer", {"add_prefix_space": False}),
        ("XLNet Llama CodeLlama Gemma Cohere", {"padding_side": "left"}),
    )
    for name in names.split()
}

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


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
    try:
        tokenizer = Tokenizer.from_str(tokenizer_json.decode())
    except Exception as error:  # tokenizers raises plain Exception
        raise ConfigError(f"tokenize.tokenizer: tokenizer.json does not load: {error}") from error
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
    defaults = _class_defaults(spec, written)
    config = defaults | written
    ignored = _refuse_disagreement(spec, config, tokenizer, ignore, defaults.keys() - written.keys())
    padding, truncation = spec.get("padding") or {}, spec.get("truncation") or {}
    pad_token = _content(config.get("pad_token")) or padding.get("pad_token")
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
        single=probe(tokenizer, pair=False, add_special_tokens=add_special_tokens),
        pair=probe(tokenizer, pair=True, add_special_tokens=add_special_tokens),
        notes=tuple(_notes(truncation, padding, config, ignored)),
    )


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
            f"e.g. --set pad.token='{found[0] if found else '<token>'}'{hint}"
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
    except ValueError as error:
        raise ConfigError(f"tokenize.tokenizer: tokenizer_config.json is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError("tokenize.tokenizer: tokenizer_config.json is not a JSON object")
    decoder = config.get("added_tokens_decoder") or {}
    well_formed = {
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


def _class_defaults(spec: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What the class that tokenizer_config.json names means by the keys it leaves out."""
    name = str(config.get("tokenizer_class")).removesuffix("Fast").removesuffix("Tokenizer")
    if name == "Llama" and any(_nodes(spec.get("pre_tokenizer"), "ByteLevel")):
        return {}  # Source: transformers takes the general class for these
    return CLASS_DEFAULTS.get(name, {})


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


def _refuse_disagreement(
    spec: dict[str, Any],
    config: dict[str, Any],
    tokenizer: Tokenizer,
    ignore: Collection[str],
    of_class: Collection[str],
) -> list[str]:
    """Refuses two files that would give different ids; returns the differences that are ignored."""
    ignored = []
    for key, ours, theirs in _differences(spec, config, tokenizer):
        whose = f", by its class {config['tokenizer_class']}," if key in of_class else ""
        line = f"{key}: tokenizer_config.json{whose} says {theirs}, tokenizer.json {ours}"
        if key not in ignore:
            raise ConfigError(
                f"tokenize.tokenizer: its two files disagree on {line}; mend one of them, "
                f"or go by tokenizer.json with tokenize.ignore: [{key}]"
            )
        ignored.append(line)
    return ignored


def _differences(spec: dict[str, Any], config: dict[str, Any], tokenizer: Tokenizer) -> Iterator[tuple[str, Any, Any]]:
    """Yields (key, what tokenizer.json does, what tokenizer_config.json says) where ids would differ.

    Source: transformers rebuilds normalizer, pre-tokenizer, template and added tokens from these keys.
    """
    bert = next(_nodes(spec.get("normalizer"), "BertNormalizer"), None)
    lowercase = bert["lowercase"] if bert else any(_nodes(spec.get("normalizer"), "Lowercase"))
    if config.get("do_lower_case") not in (None, lowercase):
        yield "do_lower_case", lowercase, config["do_lower_case"]
    if bert is not None:
        yield from _bert_differences(bert, config)
    prefix = _prefix_space(spec.get("pre_tokenizer"))
    if prefix is not None and config.get("add_prefix_space") not in (None, prefix):
        yield "add_prefix_space", prefix, config["add_prefix_space"]
    yield from _template_differences(config, tokenizer)
    yield from _added_token_differences(spec, config)


def _bert_differences(bert: dict[str, Any], config: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """BertNormalizer strips accents where it lowercases, unless it is told."""
    if "strip_accents" in config:
        ours = bert["strip_accents"] if bert["strip_accents"] is not None else bert["lowercase"]
        theirs = config["strip_accents"] if config["strip_accents"] is not None else bert["lowercase"]
        if ours != theirs:
            yield "strip_accents", bert["strip_accents"], config["strip_accents"]
    if config.get("tokenize_chinese_chars") not in (None, bert["handle_chinese_chars"]):
        yield "tokenize_chinese_chars", bert["handle_chinese_chars"], config["tokenize_chinese_chars"]


def _prefix_space(pre_tokenizer: Any) -> bool | None:
    """Whether the pre-tokenizer puts a space before the text; None where it has no say."""
    for node in _nodes(pre_tokenizer, "ByteLevel"):
        return bool(node["add_prefix_space"])
    for node in _nodes(pre_tokenizer, "Metaspace"):
        return bool(node.get("prepend_scheme", "always") != "never")
    return None


def _template_differences(config: dict[str, Any], tokenizer: Tokenizer) -> Iterator[tuple[str, Any, Any]]:
    encoding = tokenizer.encode("a")
    specials = [s for s, mark in zip(encoding.tokens, encoding.special_tokens_mask, strict=True) if mark]
    for key, name, place in (("add_bos_token", "bos_token", 0), ("add_eos_token", "eos_token", -1)):
        token = _content(config.get(name))
        if config.get(key) is None or token is None:
            continue
        added = bool(specials) and encoding.tokens[place] == token and encoding.special_tokens_mask[place] == 1
        if added != config[key]:
            yield key, added, config[key]


def _added_token_differences(spec: dict[str, Any], config: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    flags = ("content", "lstrip", "rstrip", "single_word", "normalized", "special")
    ours = {token["id"]: {flag: token[flag] for flag in flags} for token in spec.get("added_tokens", [])}
    known = {token["content"] for token in ours.values()}
    for index, token in (config.get("added_tokens_decoder") or {}).items():
        mine = ours.get(int(index))
        said = {flag: token[flag] for flag in flags if flag in token}
        if mine is None or any(mine[flag] != value for flag, value in said.items()):
            yield "added_tokens_decoder", mine, said
        known.add(str(token.get("content")))
    named = [(key, _content(config.get(key))) for key in SPECIAL_TOKENS]
    for key in ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"):
        extra = config.get(key) or []
        tokens = extra.values() if isinstance(extra, dict) else extra
        named += [(key, _content(token)) for token in tokens]
    for key, content in named:
        if content is not None and content not in known:
            yield key, "has no such added token", repr(content)


def _content(token: Any) -> str | None:
    """A token as tokenizer_config.json spells it: a string, or an object with its content."""
    return token.get("content") if isinstance(token, dict) else token


def _nodes(tree: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Walks a tokenizer.json's part for nodes of one type, inside Sequences too."""
    if isinstance(tree, dict):
        if tree.get("type") == kind:
            yield tree
        for value in tree.values():
            yield from _nodes(value, kind)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value, kind)
