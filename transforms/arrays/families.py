"""Families of tokenizers whose text can be cut safely, and where.

Text may be cut at a place where no token of the whole text could ever span, so that the ids of the whole
are the ids of the pieces, one after the other. A family knows such places by the classes of the two
characters around them. ASCII characters have a class by what they are; any other character has one by what
the tokenizer itself makes of it, asked when it is first met.
"""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from transforms.arrays.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

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


def blanks_like_a_space(tokenizer: Tokenizer) -> str:
    """Says which tabs and ends of lines a tokenizer takes for spaces, in any text.

    Args:
        tokenizer: The tokenizer.

    Returns:
        Some of them: those that its normalizer makes a space, all where its pre-tokenizer splits at white space.
    """
    spec = json.loads(tokenizer.to_str())
    if any(part["type"] == "WhitespaceSplit" for part in pre_tokenizer_parts(spec)):
        return "\t\n\r"
    normalize = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    return "".join(blank for blank in "\t\n\r" if normalize(f"a{blank}b") == "a b")


def ascii_classes() -> NDArray[np.uint8]:
    """Classes of bytes: ASCII characters by what they are, all others `OTHER`; uint8 [256]."""
    classes = np.full(256, OTHER, np.uint8)
    for characters, kind in (
        (string.ascii_letters, LETTER),
        (string.digits, DIGIT),
        (string.punctuation, PUNCTUATION),
        (" ", SPACE),
        ("\t", TAB),
        ("\r\n", NEWLINE),
    ):
        for character in characters:
            classes[ord(character)] = kind
    return classes


# What may stand before a character that is asked about: nothing, and one of each kind.
BEFORE = ("", "a", "1", ".", " ", "a ", "\u4e00", "\u0301")


class Cutter:
    """Cuts texts of one tokenizer.

    Args:
        tokenizer: The tokenizer; it vouches for every character that is not ASCII.
        family: Its family.

    Raises:
        Refusal: One of its added tokens could be cut through, or looks at its neighbours.
    """

    def __init__(self, tokenizer: Tokenizer, family: Family) -> None:
        self._tokenizer = tokenizer
        self.classes = ascii_classes()
        self.followers = np.zeros(CLASSES, np.uint8)  # by class: a bit for each class that may follow at a cut
        for before, after in family.pairs:
            self.followers[before] |= 1 << after
        self._known = np.zeros(0x110000, np.uint8)  # by code point: 0 not asked yet, else its class + 1
        following = family.after
        if family.spaces:
            blanks = blanks_like_a_space(tokenizer)
            self.classes[list(blanks.encode())] = SPACE
            following += tuple(blank + rest for blank in blanks for rest in ("b", " b", ".", ""))
        self._after = [(text, self._ids(text)) for text in following]
        self._keep_added_tokens_whole()
        self._ask_ascii()
        # Tables for bytes.translate, the fastest way there is to look every byte up.
        self._bit = (1 << self.classes).astype(np.uint8).tobytes()
        self._followers = self.followers[self.classes].tobytes()

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _keep_added_tokens_whole(self) -> None:
        """Takes characters out of the cutting that could cut an added token through."""
        for token in self._tokenizer.get_added_tokens_decoder().values():
            content = token.content
            if token.single_word:
                raise Refusal(f"its added token {content!r} looks at the letters around it (single_word)")
            data = np.frombuffer(content.encode(), np.uint8)
            for i in range(len(data) - 1):
                if self.followers[self.classes[data[i]]] >> self.classes[data[i + 1]] & 1:
                    self._silence(data[i : i + 2], content)
            if token.rstrip and self.classes[data[-1]] != OTHER:  # it takes the blanks behind it along
                self._silence(data[-1:], content)
            if token.lstrip and any(ord(c) > 127 for c in content[:1]):
                raise Refusal(f"its added token {content!r} takes blanks along (lstrip)")

    def _silence(self, data: NDArray[np.uint8], content: str) -> None:
        punctuation = [byte for byte in data if self.classes[byte] == PUNCTUATION]
        if not punctuation:
            raise Refusal(f"its added token {content!r} could be cut through")
        for byte in punctuation:
            self.classes[byte] = OTHER

    def _ask_ascii(self) -> None:
        """Asks the tokenizer about every ASCII character that may stand before a cut."""
        for byte in range(128):
            if self.classes[byte] in (LETTER, DIGIT, PUNCTUATION) and not self._vouches(chr(byte)):
                self.classes[byte] = OTHER

    def _vouches(self, character: str) -> bool:
        """Whether the ids before a blank are the same with the blank and what follows it, and without."""
        if character.isspace():
            return False  # a run of blanks can be one token, however long
        for before in BEFORE:
            head = self._ids(before + character)
            if any(self._ids(before + character + after) != head + ids for after, ids in self._after):
                return False
        return True

    def cuts(self, data: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Finds the safe places of a buffer.

        Args:
            data: UTF-8, uint8 [bytes].

        Returns:
            Whether there is a safe cut before each byte, bool [bytes]; never before the first.
        """
        text = data.tobytes()
        bits = np.frombuffer(text.translate(self._bit), np.uint8)  # uint8 [bytes]
        followers = np.frombuffer(bytearray(text.translate(self._followers)), np.uint8)  # uint8 [bytes]
        high = np.flatnonzero(data >= 0x80)
        if len(high):
            self._ask_high(data, high, followers)
        cuts = np.zeros(len(data), bool)
        np.not_equal(followers[:-1] & bits[1:], 0, out=cuts[1:])
        return cuts

    def _ask_high(self, data: NDArray[np.uint8], high: NDArray[np.int64], followers: NDArray[np.uint8]) -> None:
        """Says what may follow the last byte of each character beyond ASCII; only that can stand before a cut."""
        lead = high[data[high] >= 0xC0]
        first = data[lead].astype(np.int64)
        size = 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)  # int64: bytes of each character
        point = first & np.where(size == 2, 0x1F, np.where(size == 3, 0x0F, 0x07))
        for k in range(1, 4):
            more = size > k
            following = data[np.minimum(lead + k, len(data) - 1)].astype(np.int64) & 0x3F
            point = np.where(more, point << 6 | following, point)
        for unknown in np.unique(point[self._known[point] == 0]).tolist():
            self._known[unknown] = 1 + (WORD if self._vouches(chr(unknown)) else OTHER)
        followers[lead + size - 1] = self.followers[self._known[point] - 1]
