"""Whether a tokenizer's two files agree on the ids: transformers goes by both, `tokenizers` by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transforms.arrays.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tokenizers import Tokenizer

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


def class_defaults(spec: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Says what the class that tokenizer_config.json names means by the keys it leaves out.

    Args:
        spec: tokenizer.json, parsed.
        config: tokenizer_config.json, parsed.

    Returns:
        Keys and values.
    """
    name = str(config.get("tokenizer_class")).removesuffix("Fast").removesuffix("Tokenizer")
    if name == "Llama" and any(nodes(spec.get("pre_tokenizer"), "ByteLevel")):
        return {}  # Source: transformers takes the general class for these
    return CLASS_DEFAULTS.get(name, {})


def refuse_disagreement(
    spec: dict[str, Any],
    config: dict[str, Any],
    tokenizer: Tokenizer,
    ignore: Collection[str],
    of_class: Collection[str],
) -> list[str]:
    """Refuses two files that would give different ids.

    Args:
        spec: tokenizer.json, parsed.
        config: tokenizer_config.json, parsed, with the defaults of its class.
        tokenizer: What tokenizer.json loads as.
        ignore: Keys that may disagree.
        of_class: Keys that are its class's defaults.

    Returns:
        The differences that are ignored, each a sentence.

    Raises:
        ConfigError: A difference that is not ignored.
    """
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
    bert = next(nodes(spec.get("normalizer"), "BertNormalizer"), None)
    lowercase = bert["lowercase"] if bert else any(nodes(spec.get("normalizer"), "Lowercase"))
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
    for node in nodes(pre_tokenizer, "ByteLevel"):
        return bool(node["add_prefix_space"])
    for node in nodes(pre_tokenizer, "Metaspace"):
        return bool(node.get("prepend_scheme", "always") != "never")
    return None


def _template_differences(config: dict[str, Any], tokenizer: Tokenizer) -> Iterator[tuple[str, Any, Any]]:
    encoding = tokenizer.encode("a")
    specials = [s for s, mark in zip(encoding.tokens, encoding.special_tokens_mask, strict=True) if mark]
    for key, name, place in (("add_bos_token", "bos_token", 0), ("add_eos_token", "eos_token", -1)):
        token = content_of(config.get(name))
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
    named = [(key, content_of(config.get(key))) for key in SPECIAL_TOKENS]
    for key in ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"):
        extra = config.get(key) or []
        tokens = extra.values() if isinstance(extra, dict) else extra
        named += [(key, content_of(token)) for token in tokens]
    for key, content in named:
        if content is not None and content not in known:
            yield key, "has no such added token", repr(content)


def content_of(token: Any) -> str | None:
    """Reads a token as tokenizer_config.json spells it: a string, or an object with its content."""
    return token.get("content") if isinstance(token, dict) else token


def nodes(tree: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Walks a tokenizer.json's part for nodes of one type, inside Sequences too."""
    if isinstance(tree, dict):
        if tree.get("type") == kind:
            yield tree
        for value in tree.values():
            yield from nodes(value, kind)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value, kind)
