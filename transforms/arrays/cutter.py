"""Cutter: finds the safe places of texts for one tokenizer, by its family and by asking it about characters."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING

import numpy as np

from transforms.arrays.errors import Refusal
from transforms.arrays.families import (
    CLASSES,
    DIGIT,
    LETTER,
    NEWLINE,
    OTHER,
    PUNCTUATION,
    SPACE,
    TAB,
    WORD,
    Family,
    pre_tokenizer_parts,
)
from transforms.arrays.utf8 import code_points

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer


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
        point, size = code_points(data, lead)
        for unknown in np.unique(point[self._known[point] == 0]).tolist():
            self._known[unknown] = 1 + (WORD if self._vouches(chr(unknown)) else OTHER)
        followers[lead + size - 1] = self.followers[self._known[point] - 1]
