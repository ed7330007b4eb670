"""Families of tokenizers whose text can be cut safely, and where.

Text may be cut at a place where no token of the whole text could ever span, so that the ids of the whole
are the ids of the pieces, one after the other. A family knows such places by the classes of the two
characters around them. ASCII characters have a class by what they are; any other character has one by what
the tokenizer itself makes of it, asked when it is first met.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


# Classes of characters. OTHER is next to no cut: control characters and all that nobody vouches for.
OTHER, LETTER, DIGIT, PUNCTUATION, SPACE, TAB, NEWLINE, WORD = range(8)
CLASSES = 8
BLANKS = (SPACE, TAB, NEWLINE)

GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
CL100K = tuple(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + lines
    for digits in (r"\p{N}{1,3}", r"\p{N}")
    for lines in (r"\s*[\r\n]+|\s+(?!\S)|\s+", r"\s*[\r\n]|\s+(?!\S)|\s+")
)

Pairs = frozenset[tuple[int, int]]


class Family(NamedTuple):
    """Tokenizers that cut text alike.

    Attributes:
        name: For plans, logs and manifests.
        takes: Whether a tokenizer.json, parsed, is of the family.
        pairs: Classes before and after a safe cut.
        after: Texts that may follow a character of unknown class at a cut behind it.
        spaces: Whether tabs and ends of lines are spaces, where the tokenizer makes them spaces.
    """

    name: str
    takes: Callable[[dict[str, Any]], bool]
    pairs: Pairs
    after: tuple[str, ...]
    spaces: bool = False


def _pairs(before: Iterable[int], after: Iterable[int]) -> Pairs:
    return frozenset((b, a) for b in before for a in after)


def _parts(node: Any, key: str) -> list[dict[str, Any]]:
    """A normalizer's or pre-tokenizer's parts, its Sequences taken apart."""
    if not node:
        return []
    if node["type"] == "Sequence":
        return [part for inner in node[key] for part in _parts(inner, key)]
    return [node]


def normalizer_parts(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Lists the normalizers of a tokenizer.json, parsed, in their order."""
    return _parts(spec.get("normalizer"), "normalizers")


def pre_tokenizer_parts(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Lists the pre-tokenizers of a tokenizer.json, parsed, in their order."""
    return _parts(spec.get("pre_tokenizer"), "pretokenizers")


# Normalizers that look at no more than a character and the marks that belong to it.
LOCAL = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"}


def _is_local(spec: dict[str, Any], more: Iterable[str] = ()) -> bool:
    return all(part["type"] in LOCAL | set(more) for part in normalizer_parts(spec))


def _is_bert(spec: dict[str, Any]) -> bool:
    kinds = [part["type"] for part in pre_tokenizer_parts(spec)]
    return (
        kinds == ["BertPreTokenizer"] and _is_local(spec, ["BertNormalizer"]) and spec["model"]["type"] == "WordPiece"
    )


def _byte_level(spec: dict[str, Any]) -> str | None:
    """The expression by which a byte-level tokenizer splits; None where it is none, or adds a space."""
    parts = pre_tokenizer_parts(spec)
    if spec["model"]["type"] != "BPE" or not _is_local(spec) or not parts or parts[-1]["type"] != "ByteLevel":
        return None
    if parts[-1]["add_prefix_space"]:
        return None
    if len(parts) == 1:
        return GPT2 if parts[0].get("use_regex", True) else None
    split = parts[0]
    plain = len(parts) == 2 and split["type"] == "Split" and not split["invert"] and split["behavior"] == "Isolated"
    if not plain or parts[1].get("use_regex", True):
        return None
    pattern: str | None = split["pattern"].get("Regex")
    return pattern


def _is_gpt2(spec: dict[str, Any]) -> bool:
    return _byte_level(spec) == GPT2


def _is_cl100k(spec: dict[str, Any]) -> bool:
    return _byte_level(spec) in CL100K


def _is_metaspace(spec: dict[str, Any]) -> bool:
    parts = pre_tokenizer_parts(spec)
    kinds = [part["type"] for part in parts]
    if not _is_local(spec, ["Precompiled", "Replace"]) or spec["model"]["type"] not in ("Unigram", "BPE", "WordPiece"):
        return False
    if kinds in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        return bool(parts[-1].get("split", True)) and parts[-1].get("replacement") == "\u2581"
    return kinds in (["WhitespaceSplit"], ["Whitespace"])


FAMILIES = (
    Family(
        "bert",
        _is_bert,
        _pairs((LETTER, DIGIT, PUNCTUATION, WORD), BLANKS)
        # Behind a blank would be safe too, but a blank by itself is a piece that gives no ids.
        | _pairs((LETTER, DIGIT, PUNCTUATION, WORD), (PUNCTUATION,))
        | _pairs((PUNCTUATION,), (LETTER, DIGIT)),
        (" b", "  b", "    b", "\n b", "\tb", ".b", ". b", " .", " "),
    ),
    Family(
        "byte-level, GPT-2",
        _is_gpt2,
        _pairs((LETTER, DIGIT, PUNCTUATION, WORD), BLANKS)
        | _pairs((LETTER, PUNCTUATION), (DIGIT,))
        | _pairs((LETTER, DIGIT), (PUNCTUATION,))
        | _pairs((DIGIT,), (LETTER,)),
        (" b", "  b", "    b", "\n b", "\tb", " \n", " .", " 1", " "),
    ),
    Family(
        "byte-level, cl100k",
        _is_cl100k,
        _pairs((LETTER, DIGIT), BLANKS)
        | _pairs((PUNCTUATION, WORD), (SPACE, TAB))
        | _pairs((LETTER, PUNCTUATION), (DIGIT,))
        | _pairs((LETTER, DIGIT), (PUNCTUATION,))
        | _pairs((DIGIT,), (LETTER,)),
        (" b", "  b", "    b", " \n b", "\tb", "\t\n", " .", " 1", " "),
    ),
    Family(
        "words after spaces",
        _is_metaspace,
        _pairs((LETTER, DIGIT, PUNCTUATION, WORD), (SPACE,)),
        (" b", "  b", "    b", " \n b", " \tb", " .", " 1", " ", "  "),
        spaces=True,
    ),
)


def find_family(tokenizer_json: bytes | str) -> Family | None:
    """Says which family a tokenizer is of, by its tokenizer.json; None for none."""
    spec = json.loads(tokenizer_json)
    return next((family for family in FAMILIES if family.takes(spec)), None)
