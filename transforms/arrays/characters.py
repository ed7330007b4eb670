"""Characters that two libraries may read differently, because their tables of Unicode are of different years."""

from __future__ import annotations

import sys
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Regex, normalizers, pre_tokenizers

from transforms.arrays.utf8 import code_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where characters are assigned: beyond ASCII, without the surrogates and the empty planes.
ASSIGNED = (range(0x80, 0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000))
RUN = 4096  # characters asked about at a time; a long text with many runs takes `tokenizers` ten times as long
HANGUL = range(0xAC00, 0xD7A4)  # composed by a rule, not by a table


@cache
def young_characters(nfc: bool) -> NDArray[np.bool_]:
    r"""Says which characters are too young to be read alike by all.

    What a character is and how it is normalized does not change once it is assigned, so libraries differ on those
    that one of them does not know yet. Young is what `tokenizers` or this Python has as unassigned; where text is
    normalized, also what `tokenizers` does not normalize as this Python does, since it goes by an older table there.

    Args:
        nfc: Whether text is normalized to NFC.

    Returns:
        By code point, bool [0x110000].

    >>> [bool(young_characters(False)[ord(character)]) for character in "a\u00e9\u4e2d\u0378"]
    [False, False, False, True]
    """
    young = np.ones(sys.maxunicode + 1, bool)
    young[:0x80] = False
    split = pre_tokenizers.Split(Regex(r"\p{Cn}+"), "removed", invert=True)
    for planned in ASSIGNED:
        for start in range(planned.start, planned.stop, RUN):
            text = "".join(map(chr, range(start, min(start + RUN, planned.stop))))
            young[start : start + len(text)] = [kind == "Cn" for kind in map(unicodedata.category, text)]
            for _, (first, last) in split.pre_tokenize_str(text):
                young[start + first : start + last] = True
    if nfc:
        # A composed character is told by its last part too: what comes before it is common.
        for character in filter(_is_normalized_anew, map(chr, np.flatnonzero(~young).tolist())):
            young[[ord(character), ord(unicodedata.normalize("NFD", character)[-1])]] = True
    return young


def _is_normalized_anew(character: str) -> bool:
    """Whether this Python orders a mark, or composes the character or its parts, as `tokenizers` does not."""
    parts = unicodedata.normalize("NFD", character)
    if not unicodedata.combining(character) and (parts == character or ord(character) in HANGUL):
        return False
    texts = (f"\u0345{character}\u0323{character}\u0301", parts)
    return any(normalizers.NFC().normalize_str(text) != unicodedata.normalize("NFC", text) for text in texts)


class CharacterFinder:
    r"""Finds characters beyond ASCII in UTF-8.

    Args:
        wanted: By code point, bool [0x110000].

    >>> wanted = np.zeros(0x110000, bool)
    >>> wanted[ord("\u00e9")] = True
    >>> CharacterFinder(wanted).find(np.frombuffer("caf\u00e9 \u4e2d".encode(), np.uint8)).tolist()
    [3]
    """

    def __init__(self, wanted: NDArray[np.bool_]) -> None:
        self._wanted = wanted
        point = np.flatnonzero(wanted)
        shift, mark = _by_size(point, (6, 12, 18)), _by_size(point, (0xC0, 0xE0, 0xF0))
        first = point >> shift | mark
        second = point >> shift - 6 & 0x3F | 0x80
        self._starts = np.zeros(0x10000, bool)  # by the first two bytes, whether a character that is wanted starts so
        self._starts[first << 8 | second] = True

    def find(self, data: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Finds them.

        Args:
            data: UTF-8, uint8 [bytes].

        Returns:
            The place of the first byte of each, int64 [found].
        """
        lead = np.flatnonzero(data >= 0xC0)  # int64 [characters beyond ASCII]
        lead = lead[self._starts[data[lead].astype(np.uint16) << 8 | data[lead + 1]]]
        point, _ = code_points(data, lead)
        found: NDArray[np.int64] = lead[self._wanted[point]]
        return found


def _by_size(point: NDArray[np.int64], values: tuple[int, int, int]) -> NDArray[np.int64]:
    """A value for each code point, by the number of bytes it takes: two, three or four."""
    chosen: NDArray[np.int64] = np.select([point < 0x800, point < 0x10000], values[:2], values[2])
    return chosen
